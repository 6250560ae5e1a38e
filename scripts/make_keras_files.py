"""Writes tests/fixtures/keras/: small files of every kind that Keras has written, for tests that run
without Python.

Run: .venv/bin/python scripts/make_keras_files.py
Keras itself writes what Keras 3 writes. What older versions wrote is laid out here with h5py as their
`save_model` did; their own files are tried in the zoo. Weight i of a model holds i, i + 1/8, i + 2/8 ...,
so that a test knows every value.
"""

import io
import json
import os
import zipfile
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import h5py
import keras
import numpy as np

OUT = Path(__file__).resolve().parents[1] / "tests/fixtures/keras"
OPTIMIZER_FROM = 100  # the optimizer's first moment; its step and learning rate come before
ITERATION = 7
CONFIG = {
    "class_name": "Sequential",
    "config": {"name": "old", "layers": [{"class_name": "Conv2D", "config": {"name": "first", "filters": 2}}]},
}
TRAINING = {"loss": "mse", "optimizer_config": {"class_name": "Adam", "config": {"lr": float("inf")}}}


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    new()
    keras_2_14()
    whole("keras2.h5", CONFIG, version="2.2.4-tf", outer="model_weights", suffix=":0")
    whole("keras2_weights.h5", None, version="2.2.4", outer="", suffix=":0")
    whole("keras1.h5", {"class_name": "Sequential", "config": CONFIG["config"]["layers"]}, version="1.2.2",
          outer="model_weights", suffix="", nested=False)
    split()
    frozen()
    for libver in ("earliest", "latest"):
        kinds(libver)


def ramp(shape, start, dtype="float32") -> np.ndarray:
    """start, start + 1/8, ..."""
    return (start + np.arange(np.prod(shape, dtype=int)) / 8).reshape(shape).astype(dtype)


# ---- Keras 3 ----


def new() -> None:
    model = small_model()
    model.save(OUT / "keras3.keras")
    (OUT / "keras3.json").write_text(model.to_json())
    stored = zipfile.ZipFile(OUT / "keras3.keras")
    with zipfile.ZipFile(OUT / "packed.keras", "w", zipfile.ZIP_DEFLATED) as packed:
        for name in stored.namelist():
            packed.writestr(zipfile.ZipInfo(name), stored.read(name), zipfile.ZIP_DEFLATED)
    model.compile(optimizer="sgd", loss="mse")
    model.optimizer.build(model.trainable_variables)
    model.optimizer.iterations.assign(ITERATION)
    model.save(OUT / "keras3.h5")


def small_model() -> keras.Model:
    """A chain with a model in it."""
    inner = keras.Sequential([keras.Input((4, 4, 2)), keras.layers.Conv2D(1, 1, name="deep")], name="inner")
    image = keras.Input((4, 4, 1), name="image")
    x = keras.layers.Conv2D(2, 3, padding="same", name="first")(image)
    x = keras.layers.BatchNormalization(name="norm")(x)
    model = keras.Model(image, inner(keras.layers.Activation("relu", name="relu")(x)), name="small")
    model.compile(optimizer=keras.optimizers.Adam(0.5), loss="mse")
    model.set_weights([ramp(each.shape, i) for i, each in enumerate(model.get_weights())])
    optimizer = model.optimizer
    optimizer.build(model.trainable_variables)
    optimizer.iterations.assign(ITERATION)
    for i, variable in enumerate(optimizer.variables[2:]):
        variable.assign(ramp(variable.shape, OPTIMIZER_FROM + i))
    return model


def frozen() -> None:
    """An inner model whose first layer is not trained: its weights stand behind the second one's."""
    image = keras.Input((4, 4, 1))
    x = keras.layers.Conv2D(1, 1, name="frozen", trainable=False)(image)
    inner = keras.Model(image, keras.layers.Conv2D(1, 1, name="trained")(x), name="inner")
    model = keras.Sequential([keras.Input((4, 4, 1)), inner], name="outer")
    model.set_weights([ramp(each.shape, i) for i, each in enumerate(model.get_weights())])
    model.save(OUT / "frozen.h5")


# ---- older ----


def layers(suffix: str, nested: bool) -> dict[str, dict[str, np.ndarray]]:
    found = {"image": {}, "first": {f"first/kernel{suffix}": ramp((3, 3, 1, 2), 0), f"first/bias{suffix}": ramp((2,), 1)}}
    if nested:
        found["inner"] = {f"deep/kernel{suffix}": ramp((1, 1, 2, 1), 2), f"deep/bias{suffix}": ramp((1,), 3)}
    return found


def put(group: h5py.Group, arrays: dict[str, np.ndarray]) -> None:
    group.attrs["weight_names"] = np.array([name.encode() for name in arrays])
    for name, values in arrays.items():
        group[name] = values


def whole(name: str, config: dict | None, version: str, outer: str, suffix: str, nested: bool = True) -> None:
    with h5py.File(OUT / name, "w") as file:
        group = file.create_group(outer) if outer else file
        for each in {file, group}:
            each.attrs["keras_version"] = np.bytes_(version)
            each.attrs["backend"] = np.bytes_("tensorflow")
        if config:
            file.attrs["model_config"] = np.bytes_(json.dumps(config))
            file.attrs["training_config"] = np.bytes_(json.dumps(TRAINING))
            state = {"training/Adam/iterations:0": np.int64(ITERATION), "training/Adam/m:0": ramp((3, 3, 1, 2), OPTIMIZER_FROM)}
            put(file.create_group("optimizer_weights"), state)
        arrays = layers(suffix, nested)
        group.attrs["layer_names"] = np.array([layer.encode() for layer in arrays])
        for layer, weights in arrays.items():
            put(group.create_group(layer), weights)


def keras_2_14() -> None:
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        for folder, start in [("conv2d", 0), ("conv2d_1", 2), ("conv2d_10", 4)]:
            file[f"_layer_checkpoint_dependencies/{folder}/vars/0"] = ramp((3, 3, 1, 1), start)
            file[f"_layer_checkpoint_dependencies/{folder}/vars/1"] = ramp((1,), start + 1)
        for i in range(12):
            file[f"optimizer/vars/{i}"] = ramp((), i)
    config = CONFIG | {"compile_config": {"optimizer": "adam", "loss": "mse"}}
    with zipfile.ZipFile(OUT / "keras2_14.keras", "w") as archive:
        for name, content in [
            ("metadata.json", json.dumps({"keras_version": "2.14.0", "date_saved": "2024-02-23@17:08:32"})),
            ("config.json", json.dumps(config)),
            ("model.weights.h5", weights.getvalue()),
        ]:
            archive.writestr(zipfile.ZipInfo(name), content)


def split() -> None:
    """Names that Keras has put into several attributes, since together they take more than 64 KB."""
    with h5py.File(OUT / "split.h5", "w") as file:
        names = [f"layer_{i}" for i in range(3)]
        for part, some in enumerate((names[:2], names[2:])):
            file.attrs[f"layer_names{part}"] = np.array([name.encode() for name in some])
        for i, name in enumerate(names):
            put(file.create_group(name), {f"{name}/kernel:0": ramp((2,), i)})


# ---- HDF5 itself ----


def kinds(libver: str) -> None:
    """Every type of numbers, layout and way to keep names that h5py writes."""
    with h5py.File(OUT / f"kinds_{libver}.h5", "w", libver=libver) as file:
        for dtype in ("<f2", "<f4", "<f8", ">f4", ">f8", "|u1", "|i1", "<u2", ">i2", "<i4", "<i8", ">u8"):
            name = dtype.replace("<", "little_").replace(">", "big_").replace("|", "")
            file[f"types/{name}"] = np.array([[0, 1, 2], [3, 4, 100]], dtype)
        file["types/bool"] = np.array([True, False])
        file["types/scalar"] = np.float32(2.5)
        file["types/empty"] = np.zeros((0, 3), "f4")
        bfloat16 = file.create_dataset("types/bfloat16", data=np.array([0x3FC0, 0xC000], "<u2").view("V2"))
        bfloat16.attrs["dtype"] = "bfloat16"
        file["types/text"] = "no number"
        layouts(file.create_group("layouts"), libver)
        texts = file.create_group("texts")
        texts.attrs["text"] = "héllo"
        texts.attrs["fixed"] = np.bytes_("fixed")
        texts.attrs["list"] = [b"first", b"second one"]
        texts.attrs.create("variable", ["first", "", "second one"], dtype=h5py.string_dtype())
        texts.attrs["none"] = []
        texts.attrs["long"] = "x" * 5000
        for i in range(12):  # more than lie in the group's own header
            texts.attrs[f"number_{i}"] = np.arange(i)
        many = file.create_group("many")
        for i in range(12):  # more than one node of an index holds
            many[f"array_{i}"] = np.float32(i)


def layouts(group: h5py.Group, libver: str) -> None:
    values = ramp((5, 7), 0)
    ways = {"chunks": {}, "shuffle": {"compression": "gzip", "shuffle": True}}
    if libver == "latest":  # where chunks have smaller indexes, of four kinds
        ways |= {
            "gzip": {"compression": "gzip"}, "fletcher32": {"fletcher32": True}, "lzf": {"compression": "lzf"},
            "grows": {"maxshape": (None, 7)}, "grows_all": {"maxshape": (None, None)},
        }
        group.create_dataset("single", data=values, chunks=(5, 7), compression="gzip")
    for name, options in ways.items():
        group.create_dataset(name, data=values, chunks=(2, 3), **options)
    group.create_dataset("partly", (5, 7), "f4", chunks=(2, 3), fillvalue=-1)[:2] = values[:2]
    group.create_dataset("unwritten", (5, 7), "f4", fillvalue=-1)
    compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    compact.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple(values.shape)
    made = h5py.h5d.create(group.id, b"compact", h5py.h5t.IEEE_F32LE, space, compact)
    made.write(h5py.h5s.ALL, h5py.h5s.ALL, values)


if __name__ == "__main__":
    main()
