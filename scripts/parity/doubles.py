"""Lifts the float32 that Keras 3.15 leaves in its float64 mode. Imports Keras.

In float64 the question is whether the formulas are the same; three places of Keras would answer
with float32's rounding instead. They are lifted in the child process only, in float64 only: in
float32 Keras is replayed as it is. None of this touches a formula.
"""

from typing import Any

import keras


def lift() -> None:
    """For the backend of this process."""
    {"jax": _promote_to_float64, "torch": _lift_torch, "tensorflow": _cast_from_float64}[
        keras.backend.backend()
    ]()


def _lift_torch() -> None:
    _promote_to_float64()
    _allow_convolutions()


def _promote_to_float64() -> None:
    """On JAX and torch Keras promotes (float64, float32) to float32, so that `ops.mean`, in the
    loss and in batch normalization, is a float32 mean (keras/src/backend/common/dtypes.py)."""
    from keras.src.backend.common import dtypes

    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"


def _cast_from_float64() -> None:
    """On TensorFlow `ops.cast(0.9, "float64")` makes the Python number a float32 first: Adam's
    betas (keras/src/backend/tensorflow/core.py)."""
    import tensorflow as tf
    from keras.src import backend

    original = backend.core.cast

    def cast(x: Any, dtype: str) -> Any:
        return tf.constant(x, dtype) if isinstance(x, float) else original(x, dtype)

    backend.core.cast = backend.cast = cast


def _allow_convolutions() -> None:
    """Keras hands torch a kernel whose memory is permuted, and torch 2.13's float64 convolution on
    the CPU cannot write such a gradient. A copy in the usual order changes no number."""
    import torch.nn.functional as functional

    for name in ("conv2d", "conv_transpose2d"):
        original = getattr(functional, name)

        def contiguous(x: Any, kernel: Any, *args: Any, original: Any = original, **options: Any) -> Any:
            return original(x.contiguous(), kernel.contiguous(), *args, **options)

        setattr(functional, name, contiguous)
