"""Runs exported models in the tools that they are for, and prints how far their outputs are from ours.

    python compare.py FOLDER

For each NAME.data.safetensors in the folder, which holds samples `input.N` and convae's `output.N` in Keras's
shapes: a line of JSON for each format and N. What is wrong otherwise is an AssertionError.
"""

import json
import os
import sys
import zipfile
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
# Else a processor without AVX-512 VNNI gets TensorFlow's own kernels, which have no dilated transpose.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"

import keras
import numpy as np
import onnx
import onnxruntime
import torch
from safetensors import safe_open
from safetensors.torch import load_file

torch.set_num_threads(1)
OF_ONE_SIZE = ("pixel-shuffle",)
"""What Keras has no layer for is written for images of the model's own size, the first of all."""
FORMATS = ("onnx", "torchscript", "safetensors", "keras")


def main() -> None:
    for data in sorted(Path(sys.argv[1]).glob("*.data.safetensors")):
        name = data.name.removesuffix(".data.safetensors")
        arrays = {key: tensor.numpy() for key, tensor in load_file(data).items()}
        for kind in FORMATS:
            opened = globals()[kind](data.parent, name)
            if opened is None:
                continue
            for number in range(len(arrays) // 2):
                own_size = arrays[f"input.{number}"].shape[1:] == arrays["input.0"].shape[1:]
                if kind == "keras" and name in OF_ONE_SIZE and not own_size:
                    continue
                theirs, ours = opened(arrays[f"input.{number}"]), arrays[f"output.{number}"]
                assert theirs.shape == ours.shape, (name, kind, theirs.shape, ours.shape)
                worst = float(np.abs(theirs - ours).max())
                print(json.dumps({"case": name, "format": kind, "input": number, "difference": worst}))


def onnx_session(file: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 2  # what it warns of is shown
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def onnx(folder: Path, name: str, checker=onnx.checker, load=onnx.load):
    file = folder / f"{name}.onnx"
    if not file.exists():  # float64
        return None
    checker.check_model(file, full_check=True)
    model = load(file)
    about = {entry.key: entry.value for entry in model.metadata_props}
    shapes = input_shapes(folder, name)
    layout = "NCHW" if len(shapes[0]) == 4 else "as in Keras"
    assert f'name = "{name}"' in about["config.toml"] and about["layout"] == layout, about
    is_image = len(shapes[0]) == 4
    sides = slice(2, None) if is_image else slice(1, -1)
    sizes = {shape[sides] for shape in shapes}
    dims, output_dims = ([d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
                         for value in (model.graph.input[0], model.graph.output[0]))
    if len(sizes) == 1:
        assert dims[0] == "N" and all(isinstance(d, int) for d in dims[1:] + output_dims[1:]), dims
    else:
        assert dims[0] == "N" and dims[sides] == (["height", "width"] if is_image else ["steps"]), dims
    session = onnx_session(file)
    return lambda x: turned(session.run(["output"], {"input": turned(x, 0, 3, 1, 2)})[0], 0, 2, 3, 1)


def turned(x: np.ndarray, *axes: int) -> np.ndarray:
    """Images with their axes in this order; others as they are."""
    return np.ascontiguousarray(x.transpose(axes)) if x.ndim == 4 else x


def on_channels_first(module):
    @torch.no_grad()
    def run(x):
        return turned(module(torch.from_numpy(turned(x, 0, 3, 1, 2))).numpy(), 0, 2, 3, 1)

    return run


def torchscript(folder: Path, name: str):
    file = folder / f"{name}.script.pt"
    extra = {"config.toml": ""}
    module = torch.jit.load(file, _extra_files=extra).eval()
    assert f'name = "{name}"'.encode() in extra["config.toml"], extra
    weights = torch.load(folder / f"{name}.pt", weights_only=True)
    state = module.state_dict()
    assert set(state) == set(weights)
    assert all(torch.equal(state[key], value) for key, value in weights.items())
    probe = torch.zeros(input_shapes(folder, name)[0], dtype=next(iter(weights.values())).dtype)
    with torch.no_grad():
        assert torch.equal(in_halves(module, probe), module(probe))
    return on_channels_first(module)


def in_halves(module, x):
    """Through the encoder, then the decoder, where the model has such halves and the second stands alone."""
    if hasattr(module, "model"):
        return module.model(x)
    return module.decoder(module.encoder(x)) if hasattr(module.decoder, "forward") else module(x)


def input_shapes(folder: Path, name: str):
    """(N, C, H, W) of images, in the order of the numbers."""
    arrays = load_file(folder / f"{name}.data.safetensors")
    shapes = [tuple(arrays[f"input.{number}"].shape) for number in range(len(arrays) // 2)]
    return [(shape[0], shape[3], *shape[1:3]) if len(shape) == 4 else shape for shape in shapes]


def safetensors(folder: Path, name: str):
    """The weights, put into the module in place of its own."""
    file = folder / f"{name}.safetensors"
    with safe_open(file, framework="pt") as opened:
        assert f'name = "{name}"' in opened.metadata()["config.toml"]
    weights = load_file(file)
    module = torch.jit.load(folder / f"{name}.script.pt").eval()
    for value in module.state_dict().values():
        value.zero_()
    module.load_state_dict(weights, strict=True)
    return on_channels_first(module)


def keras(folder: Path, name: str, load=keras.saving.load_model):
    file = folder / f"{name}.keras"
    assert zipfile.is_zipfile(file)
    model = load(file)
    return lambda x: np.asarray(model(x, training=False))


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)
