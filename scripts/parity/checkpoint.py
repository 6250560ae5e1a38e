"""convae's checkpoints in Python: `.pt` and `.safetensors`, weights and text records.

The layout is that of src/formats/checkpoint: a `.pt` file is torch.save's zip file with the records as
entries `extra/<name>`, a `.safetensors` file has them as metadata.
"""

import zipfile
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .failure import Failure

CONFIG, FORMAT = "config.toml", "convae.json"
FORMAT_RECORD = """{
  "format": 1,
  "preprocessing": "values / 255, so that 0 is black and 1 is white",
  "tensors": "PyTorch layouts: Conv2d (out, in, h, w), ConvTranspose2d (in, out, h, w), Linear (out, in); pictures (N, C, H, W)",
  "names": "encoder. or decoder., the layer's name in Keras, then weight, bias, running_mean or running_var"
}
"""


@dataclass
class Checkpoint:
    """Weights in PyTorch's layouts, and what the file says of itself."""

    weights: dict[str, np.ndarray]
    records: dict[str, str] = field(default_factory=dict)


def read(path: Path) -> Checkpoint:
    """By what the file holds, not by its name."""
    if not path.is_file():
        raise Failure(f"there is no checkpoint {path}")
    return _read_pt(path) if zipfile.is_zipfile(path) else _read_safetensors(path)


def write(path: Path, checkpoint: Checkpoint) -> None:
    """A `.pt` file that convae and torch.load(weights_only=True) read."""
    import torch

    if path.suffix != ".pt":
        raise Failure(f"{path} does not end in .pt")
    part = path.with_name(path.name + ".part")
    weights = {name: torch.from_numpy(np.array(array)) for name, array in checkpoint.weights.items()}
    torch.save(OrderedDict(weights), part)
    with zipfile.ZipFile(part, "a", zipfile.ZIP_STORED) as archive:
        folder = archive.namelist()[0].split("/")[0]
        for name, text in checkpoint.records.items():
            archive.writestr(f"{folder}/extra/{name}", text)
    part.replace(path)  # so that a file of this name is always whole


def _read_pt(path: Path) -> Checkpoint:
    import torch

    try:
        tensors = torch.load(path, weights_only=True, map_location="cpu")
        weights = {name: tensor.numpy() for name, tensor in tensors.items()}
    except Exception as error:  # torch raises what it likes for a file that is no state dict
        raise Failure(f"{path} is no state dict that torch.load(weights_only=True) opens: {error}") from None
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if "/extra/" in name]
        records = {name.split("/extra/")[1]: archive.read(name).decode() for name in names}
    return Checkpoint(weights, records)


def _read_safetensors(path: Path) -> Checkpoint:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}
            return Checkpoint(weights, dict(file.metadata() or {}))
    except SafetensorError as error:
        raise Failure(f"{path} is neither a .pt nor a .safetensors file: {error}") from None
