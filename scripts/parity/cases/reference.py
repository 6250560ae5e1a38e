"""Keras in float64, on the backend that KERAS_BACKEND names: JAX unless told otherwise.

Import this before keras. JAX is the reference: on TensorFlow some of Keras computes in float32.
"""

import os
import sys

if "keras" in sys.modules:
    raise ImportError("import parity.cases.reference before keras, whose backend it settles")
os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Every case has shapes of its own, so compiling takes longer than computing.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true")

import functools  # noqa: E402
import inspect  # noqa: E402
import json  # noqa: E402
import warnings  # noqa: E402

import keras  # noqa: E402
import numpy as np  # noqa: E402

from .. import doubles, model  # noqa: E402
from ..config import Layer  # noqa: E402

warnings.filterwarnings("ignore", "You are using a softmax over axis")  # of one channel: meant
keras.config.set_floatx("float64")
doubles.lift()
BACKEND = keras.config.backend()


def build_layer(table):
    """A layer of the config language."""
    options = {key: value for key, value in table.items() if key not in ("layer", "name", "inputs")}
    return model.keras_layer(Layer(table["layer"], "encoder", table.get("name"), options))


def puller(function):
    """Turns `function(inputs, fixed)`, which returns a value and something else, into one of inputs,
    fixed and upstream: the value, the gradients of sum(upstream * value) by the inputs, and the
    something else. All are lists of arrays but value and upstream."""
    return {"jax": _jax, "tensorflow": _tensorflow, "torch": _torch}[BACKEND](function)


def _jax(function):
    import jax

    @jax.jit
    def run(inputs, fixed, upstream):
        value, back, extra = jax.vjp(lambda each: function(each, fixed), inputs, has_aux=True)
        return value, back(upstream)[0], extra

    return lambda *arrays: jax.tree.map(np.asarray, run(*arrays))


def _tensorflow(function):
    import tensorflow as tf

    def run(inputs, fixed, upstream):
        inputs = [tf.constant(each) for each in inputs]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            value, extra = function(inputs, fixed)
        return arrays_of(value, tape.gradient(value, inputs, tf.constant(upstream)), extra)

    return run


def _torch(function):
    import torch

    def run(inputs, fixed, upstream):
        inputs = [torch.tensor(each, requires_grad=True) for each in inputs]
        value, extra = function(inputs, fixed)
        gradients = torch.autograd.grad(value, inputs, torch.tensor(upstream))
        return arrays_of(value, gradients, extra)

    return run


def arrays_of(value, gradients, extra):
    array = keras.ops.convert_to_numpy
    return array(value), [array(each) for each in gradients], [array(each) for each in extra]


@functools.lru_cache(maxsize=64)
def built(table, shape, training):
    """A layer (of JSON, so that it can be looked up) and its puller."""
    table = json.loads(table)
    if table["layer"] in ("Conv2D", "Conv2DTranspose", "Dense"):
        table["kernel_initializer"] = "zeros"  # the weights are set later, so do not draw any
    layer = build_layer(table)
    layer.build(shape)
    takes_training = "training" in inspect.signature(layer.call).parameters
    options = {"training": training} if takes_training else {}

    def call(inputs, moving):
        x, *trainable = inputs
        return layer.stateless_call(trainable, moving, x, **options)

    return layer, puller(call)


def layer_at(table, shape, training=False):
    """The layer and its puller; those of another case where table and shape are the same."""
    return built(json.dumps(table), tuple(int(side) for side in shape), training)


def evaluate(table, x, weights, dy, training):
    """What a layer computes: y, dx, dweight0, ..., moving0, ... as the probe names them. Dropout and
    noise draw on from where the layer's generator was."""
    layer, pull = layer_at(table, x.shape, training)
    count = len(layer.trainable_variables)
    if table["layer"] == "BatchNormalization":
        moving = weights[count:]
    else:
        moving = [variable.value for variable in layer.non_trainable_variables]
    y, (dx, *gradients), moved = pull([x, *weights[:count]], moving, dy)
    answer = {"y": y, "dx": dx}
    answer |= {f"dweight{i}": gradient for i, gradient in enumerate(gradients)}
    if table["layer"] == "BatchNormalization":
        answer |= {f"moving{i}": statistic for i, statistic in enumerate(moved)}
    return answer


def output_shape(table, shape):
    """Shapes with the batch."""
    return build_layer(table).compute_output_shape(shape)
