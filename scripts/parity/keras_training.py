"""What a Keras model is compiled with, in convae's words, or a refusal by name. Imports Keras.

Keras drops some settings when it opens a file (a decay of Keras 2's optimizers, how samples are
weighted), so the file's own record of them is looked at too.
"""

import json
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from . import keys
from .failure import Failure

OPTIMIZER, SCHEDULE = "train.optimizer", "train.learning_rate_schedule"
LOSS_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "from_logits": (False,),
    "label_smoothing": (0, 0.0),
    "axis": (-1,),
    # The same as long as samples are not weighted, which is refused below.
    "reduction": ("sum_over_batch_size", "mean", "mean_with_sample_weight"),
}
OPTIMIZER_NEUTRAL: dict[str, tuple[Any, ...]] = {"jit_compile": (True, False, "auto")}
OF_AVERAGES = frozenset({"use_ema", "ema_momentum", "ema_overwrite_frequency"})
HARMLESS = frozenset({"optimizer", "optimizer_config", "loss", "metrics", "run_eagerly", "steps_per_execution",
                      "jit_compile", "auto_scale_loss"})
"""Settings that are looked at elsewhere, or change no number of a training."""


def settings(file: Path) -> dict[str, Any]:
    """What the file itself says of how the model is compiled; nothing where it is not."""
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            return json.loads(archive.read("config.json")).get("compile_config") or {}
    import h5py

    with h5py.File(file) as archive:
        text = archive.attrs.get("training_config") or "{}"
    return json.loads(text)


def train_section(model: keras.Model, compiled: dict[str, Any]) -> dict[str, Any]:
    """Loss and optimizer of a compiled model; an uncompiled one says nothing of them."""
    section: dict[str, Any] = {}
    _check_settings(compiled)
    if getattr(model, "loss", None) is not None:
        section["loss"] = _loss(model.loss)
    if getattr(model, "optimizer", None) is not None:
        section["optimizer"] = _optimizer(model.optimizer)
        if isinstance(model.optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule):
            section["learning_rate_schedule"] = _schedule(model.optimizer._learning_rate)
    return section


def _check_settings(compiled: dict[str, Any]) -> None:
    """Those that Keras does not give back, or that weigh the loss."""
    for key, value in compiled.items():
        neutral = (None, 1) if key == "loss_weights" else (None,)
        if key in HARMLESS or all(leaf in neutral for leaf in _leaves(value)):
            continue
        raise Failure(f"the model is compiled with {key} = {_shown(value)}, which convae does not have")
    optimizer = compiled.get("optimizer") or compiled.get("optimizer_config") or {}
    options = optimizer.get("config", {}) if isinstance(optimizer, dict) else {}
    if options.get("decay"):
        raise Failure(f"the model's optimizer has decay = {options['decay']!r}, which Keras 3 drops; give it an"
                      " InverseTimeDecay in Keras and save it anew")


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    return [leaf for item in value for leaf in _leaves(item)] if isinstance(value, list) else [value]


def _loss(loss: Any) -> str:
    """By its class, or by Keras's own function."""
    given = keras.losses.get(loss) if isinstance(loss, str) else loss
    for name in keys.names("train", "loss").values():
        if given is getattr(keras.losses, name):
            return name
        if type(given) is getattr(keras.losses, name.title().replace("_", "")):
            _check_loss(name, given)
            return name
    what = getattr(given, "__name__", type(given).__name__)
    if isinstance(given, (list, tuple, dict)):
        what = f"{_shown(loss)}, a {type(given).__name__}"
    raise Failure(f"the model is compiled with the loss {what}, which convae does not have")


def _check_loss(name: str, loss: keras.losses.Loss) -> None:
    for key, value in loss.get_config().items():
        if key != "name" and value not in LOSS_NEUTRAL.get(key, ()):
            raise Failure(f"the model's loss {name} has {key} = {_shown(value)}, which convae does not have")


def _optimizer(optimizer: keras.optimizers.Optimizer) -> dict[str, Any]:
    kind = type(optimizer).__name__
    if kind not in keys.members(OPTIMIZER) or not _is_kerass(optimizer, getattr(keras.optimizers, kind)):
        raise Failure(f"the model is compiled with the optimizer {kind}, which convae does not have")
    known = keys.keys_of(keys.members(OPTIMIZER)[kind])
    found: dict[str, Any] = {"name": kind}
    for key, value in optimizer.get_config().items():
        if key == "learning_rate":
            found[key] = _first_rate(value)
        elif key in known and value is not None:
            if key not in OF_AVERAGES or optimizer.use_ema:
                found[key] = value
        elif key in known and known[key]["default"] is None:
            continue  # not set on either side
        elif key != "name" and (key in known or value is not None) and value not in OPTIMIZER_NEUTRAL.get(key, ()):
            raise Failure(f"the model's optimizer {kind} has {key} = {_shown(value)}, which convae does not have")
    return found


def _is_kerass(optimizer: keras.optimizers.Optimizer, own: type) -> bool:
    """Keras's class, or what a backend makes of it."""
    return isinstance(optimizer, own) and type(optimizer).__module__.startswith("keras.src.")


def _first_rate(rate: Any) -> float:
    if not isinstance(rate, dict):
        return float(str(np.float32(rate)))  # Keras keeps 0.001 as the float32 next to it
    options = rate["config"]
    return options["values"][0] if "values" in options else options["initial_learning_rate"]


def _schedule(schedule: keras.optimizers.schedules.LearningRateSchedule) -> dict[str, Any]:
    name = type(schedule).__name__
    if name not in keys.members(SCHEDULE) or type(schedule) is not getattr(keras.optimizers.schedules, name, None):
        raise Failure(f"the model's learning rate follows {name}, which convae does not have")
    known, options = keys.keys_of(keys.members(SCHEDULE)[name]), dict(schedule.get_config())
    if options.get("warmup_target", 0) is None:
        options.pop("warmup_steps")  # without a target, Keras does not look at them
    found: dict[str, Any] = {"name": name}
    for key, value in options.items():
        if key in known and value is not None:
            found[key] = value
        elif key not in known and key not in ("name", "initial_learning_rate") and value is not None:
            raise Failure(f"the model's {name} has {key} = {_shown(value)}, which convae does not have")
    return found


def _shown(value: Any) -> str:
    """An object by its class; its whole config would fill the screen."""
    text = value["class_name"] if isinstance(value, dict) and "class_name" in value else repr(value)
    return text if len(text) <= 100 else text[:100] + "..."
