"""A Keras model in convae's words: its config and its weights, or a refusal by name. Imports Keras.

What convae has no word for is refused, never dropped: a model that silently loses an option would
compute something else. Only what no longer matters once a model is trained is left out:
initializers that convae does not have, seeds, and how a bias was started.
"""

from typing import Any

import keras
import numpy as np

from . import layouts
from .config import LAYER_KEYS, LOSSES, OPTIMIZER_KEYS, SCHEDULE_KEYS, snake_case
from .failure import Failure

ACTIVATIONS = frozenset(
    "linear relu relu6 leaky_relu elu selu gelu silu mish sigmoid hard_sigmoid tanh softplus softsign"
    " softmax exponential".split()
)
INITIALIZERS = {
    "GlorotUniform": "glorot_uniform", "GlorotNormal": "glorot_normal", "HeUniform": "he_uniform",
    "HeNormal": "he_normal", "LecunUniform": "lecun_uniform", "LecunNormal": "lecun_normal",
    "Zeros": "zeros", "Ones": "ones",
}
IGNORED = frozenset(
    "name dtype seed bias_initializer beta_initializer gamma_initializer moving_mean_initializer"
    " moving_variance_initializer renorm_momentum build_config".split()
)
"""Says nothing about what a trained layer computes."""
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "trainable": (True,),
    "data_format": ("channels_last",),
    "dilation_rate": (1, (1, 1), [1, 1]),
    "groups": (1,),
    "synchronized": (False,),
    "renorm": (False,),
    "threshold": (0, 0.0),
    "negative_slope": (0, 0.0),
}
"""The values of Keras's other options that mean what convae does; of any further option, None."""
OPTIMIZER_NEUTRAL: dict[str, tuple[Any, ...]] = {"jit_compile": (True, False, "auto")}
OPTIMIZER_IGNORED = frozenset({"name"})
OF_AVERAGES = frozenset({"use_ema", "ema_momentum", "ema_overwrite_frequency"})
FRESH = {"Conv2D", "Conv2DTranspose", "Dense", "BatchNormalization"}
"""Layers with weights: a new stage of the model starts with one."""


def tree_of(model: keras.Model, name: str, code: str | None) -> dict[str, Any]:
    """The config."""
    layers = chain(model)
    entries = [entry_of(layer) for layer in layers]
    split = code_index(layers, code) + 1
    return {
        "name": name,
        "model": {
            "input_shape": input_shape(model),
            "encoder": entries[:split],
            "decoder": entries[split:],
        },
        "train": train_section(model),
    }


def weights_of(model: keras.Model, code: str | None) -> dict[str, np.ndarray]:
    """Under the names that the config's layers have in a checkpoint."""
    layers, counts, weights = chain(model), {}, {}
    split = code_index(layers, code) + 1
    for index, layer in enumerate(layers):
        kind, part = type(layer).__name__, "encoder" if index < split else "decoder"
        stem = snake_case(kind)
        number = counts[stem] = counts.get(stem, -1) + 1
        name = f"{stem}_{number}" if number else stem
        for suffix, variable in layouts.variables_of(kind, layer).items():
            array = keras.ops.convert_to_numpy(variable.value)
            weights[f"{part}.{name}.{suffix}"] = layouts.to_torch(kind, suffix, array)
    return weights


def chain(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers from input to output, inner models unpacked; refuses anything but one chain."""
    if isinstance(model, keras.Sequential):
        found = list(model.layers)
    elif hasattr(model, "outputs") and hasattr(model, "inputs"):
        found = _walk_back(model)
    else:
        raise Failure(f"{model.name} is a subclassed model; convae reads Sequential and functional ones")
    layers: list[keras.layers.Layer] = []
    for layer in found:
        if isinstance(layer, keras.Model):
            layers += chain(layer)
        elif not isinstance(layer, keras.layers.InputLayer):
            layers.append(layer)
    if len({id(layer) for layer in layers}) < len(layers):
        raise Failure(f"{model.name} uses a layer twice, which convae does not have")
    return layers


def _walk_back(model: keras.Model) -> list[Any]:
    """Operations from the only output back to the only input."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise Failure(f"{model.name} has {len(model.inputs)} inputs and {len(model.outputs)} outputs; convae"
                      " reads chains of one input and one output")
    tensor, found = model.outputs[0], []
    while tensor is not model.inputs[0]:
        operation, node, _ = tensor._keras_history
        if not isinstance(operation, keras.layers.Layer):
            raise Failure(f"{model.name} has the operation {type(operation).__name__}, which is no layer")
        found.append(operation)
        sources = operation._inbound_nodes[node].input_tensors
        if len(sources) != 1:
            raise Failure(f"the layer {operation.name} ({type(operation).__name__}) has {len(sources)} inputs;"
                          " convae reads chains of layers only")
        tensor = sources[0]
    return found[::-1]


def entry_of(layer: keras.layers.Layer) -> dict[str, Any]:
    """One line of `model.encoder` or `model.decoder`."""
    kind = type(layer).__name__
    if kind not in LAYER_KEYS or type(layer) is not getattr(keras.layers, kind, None):
        raise Failure(f"the layer {layer.name} is a {kind}, which convae does not have")
    _check_precision(layer)
    entry: dict[str, Any] = {"layer": kind}
    for key, value in layer.get_config().items():
        if key == "activation":
            entry[key] = _activation(layer, value)
        elif key == "kernel_initializer":
            entry |= _initializer(value)
        elif key == "axis":
            _check_axis(layer, value)
        elif key in LAYER_KEYS[kind]:
            entry[key] = _plain(layer, key, value)
        elif key not in IGNORED and value is not None and value not in NEUTRAL.get(key, ()):
            raise Failure(f"the layer {layer.name} ({kind}) has {key} = {value!r}, which convae does not have")
    return entry


def _check_precision(layer: keras.layers.Layer) -> None:
    if layer.compute_dtype not in ("float32", "float64") or layer.compute_dtype != layer.variable_dtype:
        raise Failure(f"the layer {layer.name} computes in {layer.dtype_policy.name}; convae has float32"
                      " and float64")


def _activation(layer: keras.layers.Layer, value: Any) -> str:
    name = value if isinstance(value, str) else getattr(value, "__name__", str(value))
    if name not in ACTIVATIONS:
        raise Failure(f"the layer {layer.name} has activation = {name!r}, which convae does not have")
    return name


def _initializer(value: Any) -> dict[str, str]:
    """Left out where convae has no such thing: the weights are already there."""
    name = INITIALIZERS.get(value.get("class_name", "")) if isinstance(value, dict) else None
    return {"kernel_initializer": name} if name else {}


def _check_axis(layer: keras.layers.Layer, axis: Any) -> None:
    last = len(layer.input.shape) - 1
    if axis not in (-1, last, [last], [-1]):
        raise Failure(f"the layer {layer.name} has axis = {axis!r}; convae normalizes the last axis")


def _plain(layer: keras.layers.Layer, key: str, value: Any) -> Any:
    """A value as TOML has it. A Reshape's open entry is None in some files and -1 in others."""
    if key == "interpolation" and value not in ("nearest", "bilinear"):
        raise Failure(f"the layer {layer.name} has interpolation = {value!r}, which convae does not have")
    if isinstance(value, (list, tuple)):
        return [-1 if item is None else _plain(layer, key, item) for item in value]
    return value


def input_shape(model: keras.Model) -> list[int]:
    """Of one picture."""
    shape = list(model.input_shape[1:])
    if len(shape) != 3 or None in shape or shape[2] not in (1, 3):
        raise Failure(f"{model.name} takes inputs of shape {shape}; convae takes [height, width, channels] with"
                      " 1 channel or 3")
    return shape


def code_index(layers: list[keras.layers.Layer], code: str | None) -> int:
    """Where the encoder ends: at the first layer with the smallest output, or at the last of those
    that follow it without weights and without changing the size (an activation, a Flatten)."""
    if code is not None:
        names = [layer.name for layer in layers]
        if code not in names:
            raise Failure(f"there is no layer {code} to be the code; there are {', '.join(names)}")
        return names.index(code)
    sizes = [int(np.prod(layer.output.shape[1:])) for layer in layers]
    index = sizes.index(min(sizes))
    while (
        index + 1 < len(layers) - 1
        and sizes[index + 1] == sizes[index]
        and type(layers[index + 1]).__name__ not in FRESH
    ):
        index += 1
    return index


def train_section(model: keras.Model) -> dict[str, Any]:
    """Loss and optimizer of a compiled model; an uncompiled one says nothing of them."""
    section: dict[str, Any] = {}
    if getattr(model, "loss", None) is not None:
        section["loss"] = _loss(model.loss)
    if getattr(model, "optimizer", None) is not None:
        section["optimizer"] = _optimizer(model.optimizer)
        schedule = model.optimizer.get_config()["learning_rate"]
        if isinstance(schedule, dict):
            section["learning_rate_schedule"] = _schedule(schedule)
    if model.compute_dtype == "float64":
        section["dtype"] = "float64"
    return section


def _loss(loss: Any) -> str:
    options = {} if isinstance(loss, str) or not hasattr(loss, "get_config") else loss.get_config()
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", options.get("name", str(loss)))
    if name not in LOSSES:
        raise Failure(f"the model is compiled with the loss {name}, which convae does not have")
    neutral = {"from_logits": False, "label_smoothing": 0.0, "axis": -1, "reduction": "sum_over_batch_size"}
    for key, value in options.items():
        if key in neutral and value != neutral[key]:
            raise Failure(f"the model's loss {name} has {key} = {value!r}, which convae does not have")
    return LOSSES[name]


def _optimizer(optimizer: keras.optimizers.Optimizer) -> dict[str, Any]:
    kind = type(optimizer).__name__
    if kind not in OPTIMIZER_KEYS:
        raise Failure(f"the model is compiled with the optimizer {kind}, which convae does not have")
    found: dict[str, Any] = {"name": kind}
    for key, value in optimizer.get_config().items():
        if key == "learning_rate":
            found[key] = _first_rate(value)
        elif key in OPTIMIZER_KEYS[kind]:
            if value is not None and (key not in OF_AVERAGES or optimizer.use_ema):
                found[key] = value
        elif key not in OPTIMIZER_IGNORED and value is not None and value not in OPTIMIZER_NEUTRAL.get(key, ()):
            raise Failure(f"the model's optimizer {kind} has {key} = {value!r}, which convae does not have")
    return found


def _first_rate(rate: Any) -> float:
    if not isinstance(rate, dict):
        return float(str(np.float32(rate)))  # Keras keeps 0.001 as the float32 next to it
    options = rate["config"]
    return options["values"][0] if "values" in options else options["initial_learning_rate"]


def _schedule(schedule: dict[str, Any]) -> dict[str, Any]:
    name = schedule["class_name"]
    if name not in SCHEDULE_KEYS:
        raise Failure(f"the model's learning rate follows {name}, which convae does not have")
    options = {key: value for key, value in schedule["config"].items() if key in SCHEDULE_KEYS[name]}
    if options.get("warmup_target", 0) is None:
        options.pop("warmup_steps")  # without a target, Keras does not look at them
    return {"name": name} | {key: value for key, value in options.items() if value is not None}
