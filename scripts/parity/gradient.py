"""The gradient of one batch's loss, penalties included, by the backend's own automatic differentiation. Imports Keras."""

from typing import Any

import keras
import numpy as np


def first_gradient(model: keras.Model, x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """By trainable variable. May move moving statistics: set the weights again afterwards."""
    by_backend = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
    loss = keras.losses.get(model.loss)
    gradients = by_backend[keras.backend.backend()](model, _mean_of(loss), x, y)
    return [keras.ops.convert_to_numpy(gradient) for gradient in gradients]


def _mean_of(loss: Any) -> Any:
    """Keras's loss functions leave the batch axis to be averaged, as fit does."""
    return lambda y, y_pred: keras.ops.mean(loss(y, y_pred))


def _tensorflow(model: keras.Model, loss: Any, x: np.ndarray, y: np.ndarray) -> list[Any]:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        value = loss(tf.constant(y), model(tf.constant(x), training=True)) + sum(model.losses)
    return tape.gradient(value, [variable.value for variable in model.trainable_variables])


def _jax(model: keras.Model, loss: Any, x: np.ndarray, y: np.ndarray) -> list[Any]:
    import jax

    fixed = [variable.value for variable in model.non_trainable_variables]

    def value(trainable: list[Any]) -> Any:
        output, _, penalties = model.stateless_call(trainable, fixed, x, training=True, return_losses=True)
        return loss(y, output) + sum(penalties)

    return jax.jit(jax.grad(value))([variable.value for variable in model.trainable_variables])


def _torch(model: keras.Model, loss: Any, x: np.ndarray, y: np.ndarray) -> list[Any]:
    import torch

    model.zero_grad()
    (loss(torch.from_numpy(y), model(torch.from_numpy(x), training=True)) + sum(model.losses)).backward()
    gradients = [variable.value.grad.detach().clone() for variable in model.trainable_variables]
    model.zero_grad()
    return gradients
