"""How one weight is called and laid out in Keras and in a PyTorch state dict."""

from typing import Any

import numpy as np

# The axes of a PyTorch kernel in Keras's order: convolutions (out, in, h, w) -> (h, w, in, out),
# transposed ones (in, out, h, w) -> (h, w, out, in), dense ones (out, in) -> (in, out).
_CONVOLUTION = (2, 3, 1, 0)
_CONVOLUTION_1D = (2, 1, 0)  # of signals, without a height
_DENSE = (1, 0)
# Depthwise ones (in, each, h, w) -> (h, w, in, each).
_DEPTHWISE = (2, 3, 0, 1)
_DEPTHWISE_1D = (2, 0, 1)
_KERNEL_AXES = {
    "Conv2D": _CONVOLUTION,
    "Conv2DTranspose": _CONVOLUTION,
    "Conv1D": _CONVOLUTION_1D,
    "Conv1DTranspose": _CONVOLUTION_1D,
    "DepthwiseConv2D": _DEPTHWISE,
    "Dense": _DENSE,
}
_SEPARABLE_NAMES = {
    "depthwise_weight": "depthwise_kernel", "pointwise_weight": "pointwise_kernel", "bias": "bias"}
_NORM_NAMES = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
_KERNEL_NAMES = {"weight": "kernel", "bias": "bias"}
_NAMES = {
    "BatchNormalization": _NORM_NAMES,
    "SeparableConv1D": _SEPARABLE_NAMES,
    "SeparableConv2D": _SEPARABLE_NAMES,
    "PReLU": {"weight": "alpha"},
    "LayerNormalization": {"weight": "gamma", "bias": "beta"},
    "GroupNormalization": {"weight": "gamma", "bias": "beta"},
    **{kind: _KERNEL_NAMES for kind in _KERNEL_AXES},
}
_AXES = {
    ("SeparableConv1D", "depthwise_weight"): _DEPTHWISE_1D,
    ("SeparableConv1D", "pointwise_weight"): _CONVOLUTION_1D,
    ("SeparableConv2D", "depthwise_weight"): _DEPTHWISE,
    ("SeparableConv2D", "pointwise_weight"): _CONVOLUTION,
}


def names_of(kind: str) -> dict[str, str]:
    """PyTorch's name of each weight of a layer, to Keras's."""
    return _NAMES.get(kind, {})


def _axes(kind: str, suffix: str, rank: int) -> tuple[int, ...] | None:
    """PyTorch's axes in Keras's order; None where they are the same."""
    if kind == "PReLU":
        return (*range(1, rank), 0)
    return _KERNEL_AXES.get(kind) if suffix == "weight" else _AXES.get((kind, suffix))


def to_keras(kind: str, suffix: str, array: np.ndarray) -> np.ndarray:
    """A weight in Keras's layout, from PyTorch's."""
    axes = _axes(kind, suffix, array.ndim)
    return array.transpose(axes) if axes else array


def to_torch(kind: str, suffix: str, array: np.ndarray) -> np.ndarray:
    """The way back."""
    axes = _axes(kind, suffix, array.ndim)
    return np.ascontiguousarray(array.transpose(np.argsort(axes))) if axes else array


def variables_of(kind: str, layer: Any) -> dict[str, Any]:
    """The Keras variables of a layer by PyTorch's names; those that it was built without are absent."""
    found = {suffix: getattr(layer, name, None) for suffix, name in names_of(kind).items()}
    return {suffix: variable for suffix, variable in found.items() if variable is not None}
