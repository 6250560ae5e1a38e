"""A convae config as Python reads it: TOML plus `--set`, every key known to the program or refused.

Of layers, optimizers and schedules only what the config says is kept: defaults are left to Keras, so
that a default of convae's which is not Keras's shows up as a difference. What Keras has no say in has
the program's own defaults.
"""

import re
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import keys
from .failure import Failure
from .keys import Path as KeyPath

NOT_REPLAYED = ("warmup_steps", "early_stopping", "reduce_lr_on_plateau")
DRAWING_LAYERS = {
    "Dropout": "rate",
    "GaussianDropout": "rate",
    "AlphaDropout": "rate",
    "SpatialDropout1D": "rate",
    "SpatialDropout2D": "rate",
    "GaussianNoise": "stddev",
}


INPUT = "input"
"""The name of what a model receives."""
PARTS = {"encoder": "encoder", "decoder": "decoder", "layers": "model"}
"""The lists of layers, and what the names of their weights begin with."""
SHARED = "Shared"


@dataclass(frozen=True)
class Layer:
    """One entry of `model.encoder`, `model.decoder` or `model.layers`."""

    kind: str
    """Keras's class; of an entry that shares a layer, that layer's."""
    part: str
    """`encoder`, `decoder` or `model`."""
    name: str
    """The config's, or Keras's automatic name in a fresh session, `conv2d_1`."""
    options: dict[str, Any]
    inputs: tuple[str, ...] = (INPUT,)
    """What it reads, by name."""
    shares: str | None = None
    """The entry whose layer, and so whose weights, it uses."""


@dataclass(frozen=True)
class Experiment:
    """What a config asks for."""

    name: str
    layers: list[Layer]
    input_shape: tuple[int | None, ...]
    """Keras's: None is any length."""
    draws_weights: bool
    """Whether training starts from random weights, not from a checkpoint's."""
    data_kind: str
    data_dir: Path | None
    """Of MNIST's files; None where the pictures come from elsewhere."""
    train_samples: int | None
    test_samples: int | None
    corruption: list[dict[str, Any]]
    """Its tables, in the order in which they are applied; those that do nothing are left out."""
    epochs: int
    batch_size: int
    loss: str | dict[str, Any] | list[dict[str, Any]]
    """Its name; a table where it has options; a list of tables where several are summed up."""
    optimizer: str
    optimizer_options: dict[str, Any]
    learning_rate_schedule: dict[str, Any] | None
    """Its `name` and options."""
    not_replayed: tuple[str, ...]
    """What the config asks for beside, which a replay does not do."""
    shuffle: bool
    dtype: str
    tree: dict[str, Any]
    """The config itself, each key of which is known."""

    @property
    def corrupts(self) -> bool:
        return bool(self.corruption)

    @property
    def gaussian(self) -> dict[str, Any] | None:
        """The corruption, if it is Gaussian noise of one deviation: the only one that Python makes
        too. All others come from the trace."""
        if [table["kind"] for table in self.corruption] != ["gaussian"]:
            return None
        gaussian = keys.defaults("corruption", "gaussian") | self.corruption[0]
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
        tree = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise Failure(f"{path} cannot be read: {error}") from None
    set_paths = frozenset(override(tree, argument) for argument in overrides)
    return experiment(tree, set_paths)


def experiment(tree: dict[str, Any], set_paths: frozenset[KeyPath] = frozenset()) -> Experiment:
    """A parsed config, of which the program knows each key."""
    tree = keys.check(tree, set_paths)
    model = keys.defaults("model") | tree.get("model", {})
    train = keys.defaults("train") | tree.get("train", {})
    data = tree.get("data", keys.defaults("")["data"])
    optimizer = dict(train["optimizer"] if "optimizer" in tree.get("train", {}) else _unwritten_optimizer())
    return Experiment(
        name=tree.get("name", "model"),
        layers=_layers(model),
        input_shape=tuple(None if side == -1 else side for side in model["input_shape"]),
        draws_weights="weights" not in model,
        data_kind=data["kind"],
        data_dir=_data_dir(data),
        train_samples=data.get("train_samples"),
        test_samples=data.get("test_samples"),
        corruption=_corruption(tree.get("corruption", [])),
        optimizer=optimizer.pop("name"),
        optimizer_options=optimizer,
        learning_rate_schedule=train.get("learning_rate_schedule"),
        not_replayed=tuple(f"train.{key}" for key in NOT_REPLAYED if key in train)
        + (("train.optimizer.use_ema",) if optimizer.get("use_ema") else ()),
        tree=tree,
        loss=_loss(train["loss"]),
        **{key: train[key] for key in ("epochs", "batch_size", "shuffle", "dtype")},
    )


def override(tree: dict[str, Any], argument: str) -> KeyPath:
    """Applies `model.encoder[0].filters=16` and gives its path; text that is no TOML value is a string."""
    path, found, text = argument.partition("=")
    if not found:
        raise Failure(f"--set {argument} has no `=`; write it as KEY=VALUE")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *way, last = [int(k) if k.isdigit() else k for k in re.findall(r"[^.\[\]]+", path)]
    place: Any = tree
    try:
        for key in way:
            place = place[key] if isinstance(key, int) else place.setdefault(key, {})
        place[last] = value
    except (AttributeError, IndexError, TypeError):
        raise Failure(f"--set {argument} leads nowhere; name a key as in `convae reference`") from None
    return (*way, last)


def refuse_drawing(experiment: Experiment) -> None:
    """Layers that draw random numbers in training cannot be replayed: each library draws its own."""
    for layer in experiment.layers:
        rate = DRAWING_LAYERS.get(layer.kind)
        if layer.kind == "Sampling":
            raise Failure(f"{layer.part}.{layer.name} (Sampling) draws its output, which no other library repeats")
        if rate and layer.options.get(rate) != 0:
            raise Failure(
                f"{layer.part}.{layer.name} ({layer.kind}) draws random numbers while training, which"
                f" no other library repeats, so its steps cannot be compared; set its {rate} to 0"
            )


def refuse_policies(experiment: Experiment) -> None:
    """A replay calls `fit` once an epoch, so it does not do what happens between epochs or at the end."""
    for key in experiment.not_replayed:
        raise Failure(
            f"{key} is not replayed here; leave it out (tests/program/policies.rs compares it with Keras's own)"
        )


def refuse_unknown_loss(experiment: Experiment) -> None:
    """Such a model only predicts."""
    if experiment.loss == "unknown":
        raise Failure('train.loss is "unknown"; name the loss to train with, like --set train.loss=mean_squared_error')


def snake_case(name: str) -> str:
    """Keras's names: `MaxPooling2D` is `max_pooling2d`, `ReLU` is `re_lu`."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _layers(model: dict[str, Any]) -> list[Layer]:
    """The entries of all lists, each with its name and what it reads: the entry before unless it says otherwise."""
    entries = [(part, dict(given)) for key, part in PARTS.items() for given in model.get(key, [])]
    taken, counts = {given["name"] for _, given in entries if "name" in given}, Counter()
    layers: dict[str, Layer] = {}
    before = INPUT
    for part, options in entries:
        kind = options.pop("layer")
        name = options.pop("name", None) or _free_name(snake_case(kind), counts, taken)
        inputs, shares = tuple(options.pop("inputs", [before])), None
        if kind == SHARED:
            of = _named(layers, options["of"])
            kind, options, shares = of.kind, of.options, of.shares or of.name
        layers[name] = Layer(kind, part, name, options, inputs, shares)
        before = name
    return list(layers.values())


def _named(layers: dict[str, Layer], name: str) -> Layer:
    if name not in layers:
        raise Failure(f"an entry shares the layer of {name!r}, and no entry before it is called that")
    return layers[name]


def _free_name(stem: str, counts: Counter[str], taken: set[str]) -> str:
    """Keras's next automatic name that no entry has by the config."""
    while True:
        number = counts[stem]
        counts[stem] += 1
        name = f"{stem}_{number}" if number else stem
        if name not in taken:
            return name


def _loss(given: Any) -> Any:
    """Its name where it has no options."""
    return given["loss"] if isinstance(given, dict) and len(given) == 1 else given


def _unwritten_optimizer() -> dict[str, Any]:
    """By its name alone: its options are left to Keras."""
    return {"name": keys.defaults("train")["optimizer"]["name"]}


def _data_dir(data: dict[str, Any]) -> Path | None:
    folder = (keys.defaults("data", data["kind"]) | data).get("dir")
    return None if folder is None else Path(folder)


def _corruption(given: Any) -> list[dict[str, Any]]:
    """One table or a list of them."""
    tables = given if isinstance(given, list) else [given]
    return [table for table in tables if table["kind"] != "none"]
