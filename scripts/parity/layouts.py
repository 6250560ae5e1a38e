"""How one weight is called and laid out in Keras and in a PyTorch state dict."""

from typing import Any

import numpy as np

# The axes of a PyTorch kernel in Keras's order: convolutions (out, in, h, w) -> (h, w, in, out),
# transposed ones (in, out, h, w) -> (h, w, out, in), dense ones (out, in) -> (in, out).
_CONVOLUTION = (2, 3, 1, 0)
_CONVOLUTION_1D = (2, 1, 0)  # of signals, without a height
_DENSE = (1, 0)
_KERNEL_AXES = {"Conv2D": _CONVOLUTION, "Conv2DTranspose": _CONVOLUTION, "Dense": _DENSE,
                "Conv1D": _CONVOLUTION_1D, "Conv1DTranspose": _CONVOLUTION_1D}
_NORM_NAMES = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
_KERNEL_NAMES = {"weight": "kernel", "bias": "bias"}


def names_of(kind: str) -> dict[str, str]:
    """PyTorch's name of each weight of a layer, to Keras's."""
    if kind == "BatchNormalization":
        return _NORM_NAMES
    return _KERNEL_NAMES if kind in _KERNEL_AXES else {}


def to_keras(kind: str, suffix: str, array: np.ndarray) -> np.ndarray:
    """A weight in Keras's layout, from PyTorch's."""
    axes = _KERNEL_AXES.get(kind) if suffix == "weight" else None
    return array.transpose(axes) if axes else array


def to_torch(kind: str, suffix: str, array: np.ndarray) -> np.ndarray:
    """The way back."""
    axes = _KERNEL_AXES.get(kind) if suffix == "weight" else None
    return np.ascontiguousarray(array.transpose(np.argsort(axes))) if axes else array


def variables_of(kind: str, layer: Any) -> dict[str, Any]:
    """The Keras variables of a layer by PyTorch's names; those that it was built without are absent."""
    found = {suffix: getattr(layer, name, None) for suffix, name in names_of(kind).items()}
    return {suffix: variable for suffix, variable in found.items() if variable is not None}
