"""A config as a Keras model: Keras's own layers, optimizers and losses. Imports Keras."""

import inspect
from typing import Any

import keras
import numpy as np

from . import layouts
from .config import INPUT, Experiment, Layer
from .failure import Failure


def build(experiment: Experiment, model_class: type = keras.Model) -> keras.Model:
    """The functional model of the config's layers."""
    values = values_of(experiment)
    *_, output = values.values()
    return model_class(values[INPUT], output, name=_plain(experiment.name))


def values_of(experiment: Experiment) -> dict[str, Any]:
    """Keras's tensor of each entry by its name, the input's first. A layer that is shared is called once more."""
    values, made = {INPUT: keras.Input(experiment.input_shape, name=INPUT)}, {}
    for layer in experiment.layers:
        called = made[layer.name] = made[layer.shares] if layer.shares else keras_layer(layer)
        read = [_value(values, layer, name) for name in layer.inputs]
        values[layer.name] = called(read if len(read) > 1 else read[0])
    return values


def _value(values: dict[str, Any], layer: Layer, name: str) -> Any:
    if name not in values:
        raise Failure(f"{layer.part}.{layer.name} reads {name!r}, and no entry before it is called that")
    return values[name]


def compile_model(model: keras.Model, experiment: Experiment, optimizer: Any = None) -> None:
    """With the config's optimizer and loss."""
    if optimizer is None:
        kind, options = getattr(keras.optimizers, experiment.optimizer), experiment.optimizer_options
        if experiment.learning_rate_schedule is not None:
            default = inspect.signature(kind).parameters["learning_rate"].default
            rate = options.get("learning_rate", default)
            options = options | {"learning_rate": schedule(rate, experiment.learning_rate_schedule)}
        optimizer = keras_optimizer(experiment.optimizer, options)
    model.compile(optimizer=optimizer, loss=keras_loss(experiment.loss))


def keras_optimizer(name: str, options: dict[str, Any]) -> keras.optimizers.Optimizer:
    """Of a config's options."""
    if options.get("rms_rate") == 0.0:  # Keras's None, which TOML has not
        options = options | {"rms_rate": None}
    return getattr(keras.optimizers, name)(**options)


def keras_loss(given: Any) -> Any:
    """What Keras takes for a config's loss."""
    if isinstance(given, list) or (isinstance(given, dict) and "weight" in given):
        return _sum_of([given] if isinstance(given, dict) else given)
    if given in OURS or isinstance(given, dict) and given["loss"] in OURS:
        raise Failure(f"train.loss is {given!r}, which Keras does not have")
    if isinstance(given, dict):
        options = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
        return getattr(keras.losses, LOSSES[options.pop("loss")])(**options)
    return given


OURS = ("charbonnier", "clipped_gaussian", "ssim", "ms_ssim")
LOSSES = {
    "binary_crossentropy": "BinaryCrossentropy",
    "bce": "BinaryCrossentropy",
    "binary_focal_crossentropy": "BinaryFocalCrossentropy",
    "categorical_crossentropy": "CategoricalCrossentropy",
    "sparse_categorical_crossentropy": "SparseCategoricalCrossentropy",
    "mean_squared_error": "MeanSquaredError",
    "mse": "MeanSquaredError",
    "mean_absolute_error": "MeanAbsoluteError",
    "mae": "MeanAbsoluteError",
    "huber": "Huber",
    "log_cosh": "LogCosh",
    "mean_squared_logarithmic_error": "MeanSquaredLogarithmicError",
    "msle": "MeanSquaredLogarithmicError",
    "mean_absolute_percentage_error": "MeanAbsolutePercentageError",
    "mape": "MeanAbsolutePercentageError",
    "poisson": "Poisson",
    "kl_divergence": "KLDivergence",
    "kld": "KLDivergence",
    "cosine_similarity": "CosineSimilarity",
    "dice": "Dice",
    "tversky": "Tversky",
}
"""Keras's classes."""


def _sum_of(tables: list[dict[str, Any]]) -> Any:
    weights = [table.get("weight", 1.0) for table in tables]
    bare = [{key: value for key, value in table.items() if key != "weight"} for table in tables]
    losses = [keras_loss(table) for table in bare]
    return lambda y, y_pred: sum(weight * loss(y, y_pred) for weight, loss in zip(weights, losses, strict=True))


def schedule(rate: float, given: dict[str, Any]) -> Any:
    """Keras's schedule of a config's table, from the optimizer's own rate on."""
    options = dict(given)
    kind = getattr(keras.optimizers.schedules, options.pop("name"))
    return kind(**options) if "values" in options else kind(rate, **options)


def keras_layer(layer: Layer) -> keras.layers.Layer:
    """Options that the config does not name keep Keras's own defaults."""
    options = {key: _option(key, value) for key, value in layer.options.items()}
    kind = OWN_LAYERS.get(layer.kind) or getattr(keras.layers, layer.kind)
    return kind(name=layer.name, **options)


class DepthToSpace(keras.layers.Layer):
    """TensorFlow's `tf.nn.depth_to_space` by its definition, on any backend: Keras has none."""

    def __init__(self, block_size: int, **options: Any):
        super().__init__(**options)
        self.block = block_size

    def call(self, x: Any) -> Any:
        block, (_, height, width, channels) = self.block, x.shape
        blocks = keras.ops.reshape(x, (-1, height, width, block, block, channels // block**2))
        return keras.ops.reshape(
            keras.ops.transpose(blocks, (0, 1, 3, 2, 4, 5)),
            (-1, height * block, width * block, channels // block**2),
        )

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        count, height, width, channels = shape
        if channels % self.block**2:
            raise ValueError(f"{channels} channels are no blocks of {self.block}")
        return count, height * self.block, width * self.block, channels // self.block**2


class Sampling(keras.layers.Layer):
    """That of the variational autoencoder among Keras's examples, with its divergence, where nothing is drawn."""

    def __init__(self, kl_weight: float = 0.0, **options: Any):
        super().__init__(**options)
        self.kl_weight = kl_weight

    def call(self, inputs: Any, training: bool = False) -> Any:
        if training:
            raise Failure(f"{self.name} (Sampling) draws random numbers while training, which no other library repeats")
        mean, log_var = inputs
        values = -0.5 * (1 + log_var - keras.ops.square(mean) - keras.ops.exp(log_var))
        axes = tuple(range(1, len(mean.shape)))
        self.add_loss(self.kl_weight * keras.ops.mean(keras.ops.sum(values, axis=axes)))
        return mean


OWN_LAYERS = {"DepthToSpace": DepthToSpace, "Sampling": Sampling}
"""Layers of the config that Keras does not have."""


def variables(model: keras.Model, experiment: Experiment) -> dict[str, tuple[Layer, str, Any]]:
    """Checkpoint name to layer, suffix and Keras variable, in the checkpoint's order. An entry that shares a
    layer has none of its own."""
    found = {}
    for layer in [layer for layer in experiment.layers if not layer.shares]:
        for suffix, variable in layouts.variables_of(layer.kind, model.get_layer(layer.name)).items():
            found[f"{layer.part}.{layer.name}.{suffix}"] = (layer, suffix, variable)
    return found


def set_weights(
    model: keras.Model, experiment: Experiment, weights: dict[str, np.ndarray]
) -> None:
    """Gives every variable the checkpoint's value."""
    known = variables(model, experiment)
    for name, (layer, suffix, variable) in known.items():
        if name not in weights:
            raise KeyError(f"the checkpoint has no `{name}`")
        variable.assign(layouts.to_keras(layer.kind, suffix, weights[name]))
    for name in weights:
        if name not in known and not name.endswith(".num_batches_tracked"):
            raise KeyError(f"the model has no `{name}`")


def get_weights(model: keras.Model, experiment: Experiment) -> dict[str, np.ndarray]:
    """Every variable under its checkpoint name, in PyTorch's layout."""
    return {
        name: layouts.to_torch(layer.kind, suffix, keras.ops.convert_to_numpy(variable.value))
        for name, (layer, suffix, variable) in variables(model, experiment).items()
    }


def _option(key: str, value: Any) -> Any:
    """A table with a name is one of Keras's objects."""
    if not isinstance(value, dict):
        return _tuples(value)
    module = next(module for ending, module in OBJECTS.items() if key.endswith(ending))
    options = {option: _tuples(each) for option, each in value.items() if option != "name"}
    return getattr(module, value["name"])(**options)


OBJECTS = {"_initializer": keras.initializers, "_regularizer": keras.regularizers, "_constraint": keras.constraints}
"""By the endings of the keys that hold them."""


def _tuples(value: Any) -> Any:
    """Keras tells pairs from lists of something else by their being tuples."""
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _plain(name: str) -> str:
    """Keras's names have no dots or dashes to speak of."""
    return "".join(letter if letter.isalnum() else "_" for letter in name)
