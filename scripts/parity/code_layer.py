"""Where a Keras model's encoder ends: the layer whose output is the code. Imports no Keras."""

import math
from dataclasses import dataclass
from typing import Any

from .failure import Failure

FRESH = {"Conv2D", "Conv2DTranspose", "Dense", "BatchNormalization"}
"""Layers with weights: a new stage of the model starts with one."""


@dataclass(frozen=True)
class Cut:
    """The encoder ends with the layer at `index`."""

    index: int
    said: str
    """Which layer that is, and how it came to be."""


def cut(layers: list[Any], code: str | None) -> Cut:
    """At the layer of that name; else at the first one with the smallest output, if that is smaller
    than the input; else after the last downsampling. What follows that layer without weights of its
    own and without changing the size (an activation, a Flatten) belongs to the code."""
    if code is not None:
        names = [layer.name for layer in layers]
        if code not in names:
            raise Failure(f"there is no layer {code} to be the code; there are {', '.join(names)}")
        return Cut(names.index(code), _said(layers, names.index(code), "as --code says"))
    sizes = [math.prod(_shape(layer.output)) for layer in layers]
    given = math.prod(_shape(layers[0].input))
    inner = sizes[:-1]  # what the last layer gives is no code
    if inner and min(inner) < given:
        index = _with_followers(layers, sizes, inner.index(min(inner)))
        return Cut(index, _said(layers, index, "the smallest output"))
    index = _last_downsampling(layers)
    if index is None:
        why = f"no layer gives fewer than the image's {given} values, and none downsamples; --code LAYER names another"
        return Cut(len(layers) - 1, _said(layers, len(layers) - 1, f"the whole model, as {why}"))
    index = _with_followers(layers, sizes, index)
    why = f"no layer gives fewer than the image's {given} values; --code LAYER names another"
    return Cut(index, _said(layers, index, f"after the last downsampling, as {why}"))


def _with_followers(layers: list[Any], sizes: list[int], index: int) -> int:
    while (
        index + 1 < len(layers) - 1
        and sizes[index + 1] == sizes[index]
        and type(layers[index + 1]).__name__ not in FRESH
    ):
        index += 1
    return index


def _last_downsampling(layers: list[Any]) -> int | None:
    """The layer that brings height times width to its least, where that is less than the image's."""
    areas = [math.prod(_shape(layer.output)[:2]) if len(_shape(layer.output)) == 3 else None for layer in layers]
    known = [area for area in areas[:-1] if area is not None]
    if not known or min(known) >= math.prod(_shape(layers[0].input)[:2]):
        return None
    return areas.index(min(known))


def _shape(tensor: Any) -> list[int]:
    """Of one image."""
    return list(tensor.shape[1:])


def _said(layers: list[Any], index: int, why: str) -> str:
    layer = layers[index]
    size = " x ".join(map(str, _shape(layer.output)))
    return f"the code is what {layer.name} gives ({size}): {why}"
