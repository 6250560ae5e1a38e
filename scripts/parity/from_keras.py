"""A Keras model in convae's words: its config and its weights, or a refusal by name. Imports Keras.

What convae has no word for is refused, never dropped: a model that silently loses an option would
compute something else. The class of an object decides what it is, never its name, which anybody may
give. What tells only how weights start, which a trained model has behind it, is left out and said.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras.src.models.functional import Functional

from . import keys, layouts
from .code_layer import Cut, cut
from .config import snake_case
from .failure import Failure
from .keras_training import train_section
from .keras_training import settings as training_settings

LAYERS = "model.encoder[]"
IGNORED = frozenset({"name", "dtype", "seed", "renorm_momentum", "build_config"})
"""Says nothing about what a layer computes; the precision is looked at by itself."""
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
STARTS = {
    "kernel_initializer": "GlorotUniform", "bias_initializer": "Zeros", "beta_initializer": "Zeros",
    "gamma_initializer": "Ones", "moving_mean_initializer": "Zeros", "moving_variance_initializer": "Ones",
}
"""How Keras and convae start weights where nothing else is said."""


@dataclass
class Reading:
    """What a model is in convae's words."""

    tree: dict[str, Any]
    """The config."""
    weights: dict[str, np.ndarray]
    """Under the names that the config's layers have in a checkpoint."""
    cut: Cut
    notes: list[str] = field(default_factory=list)
    """What was left out, in sentences."""


def read(model: keras.Model, file: Path, name: str, code: str | None) -> Reading:
    """The model that Keras made of `file`."""
    layers = chain(model)
    notes: list[str] = []
    entries = [entry_of(layer, notes) for layer in layers]
    shape = input_shape(model)
    where = cut(layers, code)  # which needs every size: after the refusals of open ones
    precision = _precision(layers)
    tree = {
        "name": name,
        "model": {
            "input_shape": shape,
            "encoder": entries[: where.index + 1],
            "decoder": entries[where.index + 1 :],
        },
        "train": train_section(model, training_settings(file))
        | ({"dtype": precision} if precision != keys.defaults("train")["dtype"] else {}),
    }
    return Reading(tree, _weights_of(layers, where.index), where, notes)


def _weights_of(layers: list[keras.layers.Layer], last: int) -> dict[str, np.ndarray]:
    counts, weights = {}, {}
    for index, layer in enumerate(layers):
        kind, part = type(layer).__name__, "encoder" if index <= last else "decoder"
        stem = snake_case(kind)
        number = counts[stem] = counts.get(stem, -1) + 1
        name = f"{stem}_{number}" if number else stem
        variables = layouts.variables_of(kind, layer)
        if len(variables) != len(layer.weights):
            raise Failure(f"the layer {layer.name} ({kind}) has {len(layer.weights)} weights, of which convae"
                          f" has {', '.join(variables) or 'none'}")
        for suffix, variable in variables.items():
            array = keras.ops.convert_to_numpy(variable.value)
            if not np.isfinite(array).all():
                raise Failure(f"the weight {variable.path} has values that are not finite")
            weights[f"{part}.{name}.{suffix}"] = layouts.to_torch(kind, suffix, array)
    return weights


def chain(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers from input to output, inner models unpacked; refuses anything but one chain."""
    if type(model) is keras.Sequential:
        found = list(model.layers)
    elif type(model) is Functional:
        found = _walk_back(model)
    else:
        raise Failure(f"{model.name} is of the class {type(model).__name__}; convae reads Sequential and"
                      " functional models")
    layers: list[keras.layers.Layer] = []
    for layer in found:
        if isinstance(layer, keras.Model):
            layers += chain(layer)
        elif not isinstance(layer, keras.layers.InputLayer):
            layers.append(layer)
    if not layers:
        raise Failure(f"{model.name} has no layers")
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
        operation, index, _ = tensor._keras_history
        if not isinstance(operation, keras.layers.Layer):
            raise Failure(f"{model.name} has the operation {type(operation).__name__}, which is no layer")
        found.append(operation)
        node = operation._inbound_nodes[index]
        if len(node.input_tensors) != 1:
            raise Failure(f"the layer {operation.name} ({type(operation).__name__}) has"
                          f" {len(node.input_tensors)} inputs; convae reads chains of layers only")
        _check_call(operation, node.arguments)
        tensor = node.input_tensors[0]
    return found[::-1]


def _check_call(layer: keras.layers.Layer, arguments: Any) -> None:
    """A layer may be called with `training=True`: dropout that never ends. Where nothing is said Keras
    writes `training=False` itself, over which the model's own mode goes."""
    given = {name: value for name, value in arguments.kwargs.items() if value is not None and value is not False}
    if given or len(arguments.args) != 1:
        said = ", ".join(f"{name} = {value!r}" for name, value in given.items()) or "further arguments"
        raise Failure(f"the layer {layer.name} ({type(layer).__name__}) is called with {said}, which convae"
                      " does not have")


def entry_of(layer: keras.layers.Layer, notes: list[str]) -> dict[str, Any]:
    """One line of `model.encoder` or `model.decoder`."""
    kind = type(layer).__name__
    if kind not in keys.members(LAYERS) or type(layer) is not getattr(keras.layers, kind, None):
        raise Failure(f"the layer {layer.name} is a {kind}, which convae does not have")
    known = keys.keys_of(keys.members(LAYERS)[kind])
    entry: dict[str, Any] = {"layer": kind}
    for key, value in layer.get_config().items():
        if key == "activation":
            entry[key] = _activation(layer, known[key])
        elif key in STARTS:
            entry |= _initializer(layer, key, known, notes)
        elif key == "axis":
            _check_axis(layer, value)
        elif key in known:
            entry[key] = _plain(layer, known[key], value)
        elif key not in IGNORED and value is not None and value not in NEUTRAL.get(key, ()):
            raise Failure(f"the layer {layer.name} ({kind}) has {key} = {_shown(value)}, which convae does not have")
    return entry


def _precision(layers: list[keras.layers.Layer]) -> str:
    """Of all layers, one."""
    found = {layer.compute_dtype for layer in layers} | {layer.variable_dtype for layer in layers}
    precisions = keys.names("train", "dtype")
    for layer in layers:
        if layer.compute_dtype not in precisions or layer.compute_dtype != layer.variable_dtype:
            raise Failure(f"the layer {layer.name} computes in {layer.dtype_policy.name}; convae has"
                          f" {' and '.join(precisions)}")
    if len(found) > 1:
        raise Failure(f"the layers compute in {' and '.join(sorted(found))}; convae has one precision for all")
    return found.pop()


def _activation(layer: keras.layers.Layer, key: dict[str, Any]) -> str:
    """Keras's own function, not another one of its name."""
    for choice in key["choices"]:
        if layer.activation is keras.activations.get(choice["name"]):
            return choice["name"]
    given = layer.activation
    if isinstance(given, keras.layers.Layer):
        what = f"the layer {type(given).__name__}; convae has that as a layer of its own only"
        raise Failure(f"the layer {layer.name} has as activation {what}")
    name = getattr(given, "__name__", str(given))
    raise Failure(f"the layer {layer.name} has activation = {name!r}, which convae does not have")


def _initializer(
    layer: keras.layers.Layer, key: str, known: dict[str, Any], notes: list[str]
) -> dict[str, str]:
    """The weights are already there: what convae has no word for matters to a training from anew only."""
    given = getattr(layer, key, None)
    usual = STARTS[key]
    if given is None or (not getattr(layer, "use_bias", True) and key == "bias_initializer"):
        return {}
    plain = all(value is None for value in given.get_config().values())
    if key in known and plain:
        for choice in known[key]["choices"]:
            if type(given) is type(keras.initializers.get(choice["name"])):
                return {key: choice["name"]}
    if not (plain and type(given) is getattr(keras.initializers, usual)):
        notes.append(f"the layer {layer.name} has {key} = {type(given).__name__}, which is left out: a training"
                     f" from anew starts with {usual}")
    return {}


def _check_axis(layer: keras.layers.Layer, axis: Any) -> None:
    last = len(layer.input.shape) - 1
    if axis not in (-1, last, [last], [-1]):
        raise Failure(f"the layer {layer.name} has axis = {axis!r}; convae normalizes the last axis")


def _plain(layer: keras.layers.Layer, key: dict[str, Any], value: Any) -> Any:
    """A value as TOML has it. A Reshape's open entry is None in some files and -1 in others."""
    names = [choice["name"] for choice in key["choices"]]
    if names and value not in names:
        raise Failure(f"the layer {layer.name} has {key['name']} = {value!r}, which convae does not have")
    if isinstance(value, (list, tuple)):
        return [-1 if item is None else _plain(layer, key, item) for item in value]
    return value


def input_shape(model: keras.Model) -> list[int]:
    """Of one image."""
    shape = list(model.input_shape[1:])
    if len(shape) == 3 and None in shape:
        raise Failure(f"{model.name} takes images of any size, {shape}; convae takes one size: build the model with"
                      " keras.Input((height, width, channels)), give it these weights with set_weights, and save it")
    if len(shape) != 3 or shape[2] not in (1, 3):
        raise Failure(f"{model.name} takes inputs of shape {shape}; convae takes [height, width, channels] with"
                      " 1 channel or 3")
    for tensor in model.inputs:
        if not tensor.dtype.startswith("float") or tensor.sparse:
            what = "sparse tensors" if tensor.sparse else f"inputs of {tensor.dtype}"
            raise Failure(f"{model.name} takes {what}; convae gives floating-point numbers in 0..1")
    return shape


def _shown(value: Any) -> str:
    """An object by its class; its whole config would fill the screen."""
    return value["class_name"] if isinstance(value, dict) and "class_name" in value else repr(value)
