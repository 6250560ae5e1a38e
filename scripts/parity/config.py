"""A convae config as Python reads it: TOML plus `--set`, every key known by name or refused.

Only what the config says is kept: defaults are left to Keras, so that a default of convae's which
is not Keras's shows up as a difference. The few that Keras has no say in are in `Experiment`.
"""

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .failure import Failure

_CONVOLUTION = "filters kernel_size strides padding activation use_bias kernel_initializer"
_POOLING = "pool_size strides padding"
LAYER_KEYS = {
    kind: frozenset(keys.split())
    for kind, keys in {
        "Conv2D": _CONVOLUTION,
        "Conv2DTranspose": _CONVOLUTION,
        "MaxPooling2D": _POOLING,
        "AveragePooling2D": _POOLING,
        "UpSampling2D": "size interpolation",
        "Dense": "units activation use_bias kernel_initializer",
        "Flatten": "",
        "Reshape": "target_shape",
        "BatchNormalization": "momentum epsilon center scale",
        "Dropout": "rate",
        "GaussianNoise": "stddev",
        "ZeroPadding2D": "padding",
        "Cropping2D": "cropping",
        "ReLU": "",
        "LeakyReLU": "negative_slope",
        "Activation": "activation",
    }.items()
}
_EVERY_OPTIMIZER = (
    "learning_rate weight_decay clipnorm clipvalue global_clipnorm use_ema ema_momentum "
    "ema_overwrite_frequency gradient_accumulation_steps "
)
OPTIMIZER_KEYS = {
    name: frozenset((_EVERY_OPTIMIZER + keys).split())
    for name, keys in {
        "Adam": "beta_1 beta_2 epsilon amsgrad",
        "AdamW": "beta_1 beta_2 epsilon amsgrad",
        "SGD": "momentum nesterov",
        "RMSprop": "rho momentum epsilon centered",
        "Adadelta": "rho epsilon",
    }.items()
}
LOSSES = {
    "binary_crossentropy": "binary_crossentropy",
    "mean_squared_error": "mean_squared_error",
    "mse": "mean_squared_error",
    "mean_absolute_error": "mean_absolute_error",
    "mae": "mean_absolute_error",
}
_SAMPLES = "train_samples test_samples "
_IMAGE_FILES = (
    _SAMPLES + "test test_fraction resize patches on_error max_pixels memory_mb threads "
)
DATA_KEYS = {
    kind: frozenset(keys.split())
    for kind, keys in {
        "mnist": _SAMPLES + "dir",
        "fashion-mnist": _SAMPLES + "dir",
        "idx": _SAMPLES + "train test test_fraction",
        "npz": _SAMPLES + "file train test test_fraction",
        "images": _IMAGE_FILES + "train",
        "pairs": _IMAGE_FILES + "noisy clean",
    }.items()
}
DATA_DIRS = {"mnist": Path("data/mnist"), "fashion-mnist": Path("data/fashion-mnist")}
"""Kinds whose pictures are read here from their own files; those of the others are in the trace."""
CORRUPTION_KEYS = {
    kind: frozenset(keys.split())
    for kind, keys in {
        "none": "",
        "gaussian": "factor clip resample",
        "poisson": "peak clip resample",
        "speckle": "factor clip resample",
        "salt_and_pepper": "amount salt resample",
        "mask": "shape boxes size amount value resample",
        "blur": "sigma resample",
        "downscale": "scale clip resample",
        "jpeg": "quality resample",
    }.items()
}
GAUSSIAN = {"factor": 0.5, "clip": True, "resample": "never"}
SECTIONS = {
    "model": {"input_shape", "encoder", "decoder"},
    "train": {
        "epochs", "batch_size", "loss", "optimizer", "shuffle", "device", "dtype", "engine", "threads",
        "learning_rate_schedule", "warmup_steps", "early_stopping", "reduce_lr_on_plateau",
        "checkpoint_every", "keep_checkpoints", "keep_best",
    },
    "output": {"dir", "safetensors", "grid_samples"},
}
SCHEDULE_KEYS = {
    name: frozenset(keys.split())
    for name, keys in {
        "ExponentialDecay": "decay_steps decay_rate staircase",
        "CosineDecay": "decay_steps alpha warmup_target warmup_steps",
        "CosineDecayRestarts": "first_decay_steps t_mul m_mul alpha",
        "PiecewiseConstantDecay": "boundaries values",
        "PolynomialDecay": "decay_steps end_learning_rate power cycle",
        "InverseTimeDecay": "decay_steps decay_rate staircase",
    }.items()
}
NOT_REPLAYED = ("warmup_steps", "early_stopping", "reduce_lr_on_plateau")
DRAWING_LAYERS = {"Dropout": "rate", "GaussianNoise": "stddev"}


@dataclass(frozen=True)
class Layer:
    """One entry of `model.encoder` or `model.decoder`."""

    kind: str
    """Keras's class."""
    part: str
    """`encoder` or `decoder`."""
    name: str
    """Keras's automatic name in a fresh session, `conv2d_1`."""
    options: dict[str, Any]


@dataclass(frozen=True)
class Experiment:
    """What a config asks for."""

    name: str
    layers: list[Layer]
    input_shape: tuple[int, int, int] = (28, 28, 1)
    data_kind: str = "mnist"
    data_dir: Path | None = Path("data/mnist")
    """Of MNIST's files; None where the pictures come from elsewhere."""
    train_samples: int | None = None
    test_samples: int | None = None
    corruption: list[dict[str, Any]] = field(default_factory=list)
    """Its tables, in the order in which they are applied; those that do nothing are left out."""
    epochs: int = 1
    batch_size: int = 32
    loss: str = "binary_crossentropy"
    optimizer: str = "Adam"
    optimizer_options: dict[str, Any] = field(default_factory=dict)
    learning_rate_schedule: dict[str, Any] | None = None
    """Its `name` and options."""
    not_replayed: tuple[str, ...] = ()
    """What the config asks for beside, which a replay does not do."""
    shuffle: bool = True
    dtype: str = "float32"

    @property
    def corrupts(self) -> bool:
        return bool(self.corruption)

    @property
    def gaussian(self) -> dict[str, Any] | None:
        """The corruption, if it is Gaussian noise of one deviation: the only one that Python makes
        too. All others come from the trace."""
        if [table["kind"] for table in self.corruption] != ["gaussian"]:
            return None
        gaussian = GAUSSIAN | self.corruption[0]
        return None if isinstance(gaussian["factor"], list) else gaussian


def find(named: str) -> Path:
    """The config where it was named, else under configs/, as convae looks for it."""
    for path in (Path(named), Path("configs") / named):
        if path.is_file():
            return path
    raise Failure(f"there is no config {named}, here or under configs/")


def read(path: Path, overrides: list[str]) -> Experiment:
    """Reads a config with `--set` arguments applied in order."""
    try:
        tree = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise Failure(f"{path} cannot be read: {error}") from None
    for argument in overrides:
        override(tree, argument)
    return experiment(tree)


def experiment(tree: dict[str, Any]) -> Experiment:
    """A parsed config, each key of which is known."""
    _only(tree, {"name", "seed", "corruption", "data", *SECTIONS}, "")
    for section, keys in SECTIONS.items():
        _only(tree.get(section, {}), keys, f"{section}.")
    data, model, train = (tree.get(name, {}) for name in ("data", "model", "train"))
    optimizer = dict(train.get("optimizer", {"name": "Adam"}))
    kind = optimizer.pop("name", "Adam")
    if kind not in OPTIMIZER_KEYS:
        raise Failure(f"the optimizer {kind!r} is not known here; known are {_list(OPTIMIZER_KEYS)}")
    _only(optimizer, OPTIMIZER_KEYS[kind], "train.optimizer.")
    given = {
        "input_shape": tuple(model["input_shape"]) if "input_shape" in model else None,
        "train_samples": data.get("train_samples"),
        "test_samples": data.get("test_samples"),
        "corruption": _corruption(tree.get("corruption")),
        "loss": _loss(train.get("loss")),
        "optimizer": kind,
        "optimizer_options": optimizer,
        "learning_rate_schedule": _schedule(train.get("learning_rate_schedule")),
        "not_replayed": tuple(f"train.{key}" for key in NOT_REPLAYED if key in train)
        + (("train.optimizer.use_ema",) if optimizer.get("use_ema") else ()),
        **{key: train.get(key) for key in ("epochs", "batch_size", "shuffle", "dtype")},
    }
    given = {key: value for key, value in given.items() if value is not None}
    name, layers = tree.get("name", "model"), _layers(model)
    return Experiment(name=name, layers=layers, **given, **_data(data))


def override(tree: dict[str, Any], argument: str) -> None:
    """Applies `model.encoder[0].filters=16`; text that is no TOML value is a string."""
    path, found, text = argument.partition("=")
    if not found:
        raise Failure(f"--set {argument} has no `=`; write it as KEY=VALUE")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *way, last = [int(k) if k.isdigit() else k for k in re.findall(r"[^.\[\]]+", path)]
    place: Any = tree
    for key in way:
        place = place[key] if isinstance(key, int) else place.setdefault(key, {})
    place[last] = value
    if last == "kind" and value in CORRUPTION_KEYS:
        # As in convae: what the file says of its own kind goes when another one is named.
        for key in place.keys() - CORRUPTION_KEYS[value] - {"kind"}:
            del place[key]


def refuse_drawing(experiment: Experiment) -> None:
    """Layers that draw random numbers in training cannot be replayed: each library draws its own."""
    for layer in experiment.layers:
        rate = DRAWING_LAYERS.get(layer.kind)
        if rate and layer.options.get(rate) != 0:
            raise Failure(
                f"{layer.part}.{layer.name} ({layer.kind}) draws random numbers while training, which"
                f" no other library repeats, so its steps cannot be compared; set its {rate} to 0"
            )


def refuse_policies(experiment: Experiment) -> None:
    """A replay calls `fit` once an epoch, so it does not do what happens between epochs or at the end."""
    for key in experiment.not_replayed:
        raise Failure(
            f"{key} is not replayed here; leave it out (tests/policies.rs compares it with Keras's own)"
        )


def snake_case(name: str) -> str:
    """Keras's names: `MaxPooling2D` is `max_pooling2d`, `ReLU` is `re_lu`."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _layers(model: dict[str, Any]) -> list[Layer]:
    counts: dict[str, int] = {}
    layers = []
    for part in ("encoder", "decoder"):
        for index, given in enumerate(model.get(part, [])):
            options = dict(given)
            kind, place = options.pop("layer", None), f"model.{part}[{index}]"
            if kind not in LAYER_KEYS:
                raise Failure(f"{place}: the layer {kind!r} is not known here")
            _only(options, LAYER_KEYS[kind], f"{place}.")
            stem = snake_case(kind)
            number = counts[stem] = counts.get(stem, -1) + 1
            layers.append(Layer(kind, part, f"{stem}_{number}" if number else stem, options))
    return layers


def _data(given: dict[str, Any]) -> dict[str, Any]:
    kind = given.get("kind", "mnist")
    if kind not in DATA_KEYS:
        raise Failure(f"data.kind {kind!r} is not known here; known are {_list(DATA_KEYS)}")
    _only(given, DATA_KEYS[kind] | {"kind"}, "data.")
    folder = Path(given["dir"]) if "dir" in given else DATA_DIRS.get(kind)
    return {"data_kind": kind, "data_dir": folder}


def _corruption(given: Any) -> list[dict[str, Any]] | None:
    """One table or a list of them."""
    if given is None:
        return None
    tables = given if isinstance(given, list) else [given]
    for table in tables:
        kind = table.get("kind")
        if kind not in CORRUPTION_KEYS:
            raise Failure(f"corruption.kind {kind!r} is not known here; known are {_list(CORRUPTION_KEYS)}")
        _only(table, CORRUPTION_KEYS[kind] | {"kind"}, "corruption.")
    return [table for table in tables if table["kind"] != "none"]


def _schedule(given: dict[str, Any] | None) -> dict[str, Any] | None:
    if given is None:
        return None
    name = given.get("name")
    if name not in SCHEDULE_KEYS:
        raise Failure(f"the schedule {name!r} is not known here; known are {_list(SCHEDULE_KEYS)}")
    _only(given, SCHEDULE_KEYS[name] | {"name"}, "train.learning_rate_schedule.")
    return given


def _loss(name: str | None) -> str | None:
    if name is not None and name not in LOSSES:
        raise Failure(f"the loss {name!r} is not known here; known are {_list(LOSSES)}")
    return LOSSES.get(name) if name else None


def _only(table: dict[str, Any], known: Any, place: str) -> None:
    for key in table:
        if key not in known:
            raise Failure(f"the key `{place}{key}` is not known here; known are {_list(known)}")


def _list(names: Any) -> str:
    return ", ".join(sorted(names)) or "none"
