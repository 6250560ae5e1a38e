"""A config as a PyTorch model: what Keras computes, in PyTorch's own modules."""

from collections import Counter
from math import ceil, prod

import torch
from torch import nn

from parity.config import INPUT, Experiment, Layer


class Network(nn.Module):
    """Calls each layer with what it reads, in the config's order; what merges several has no module.

    A value is let go when its last reader has it, as in a chain.
    """

    def __init__(self, experiment: Experiment, logits: bool) -> None:
        super().__init__()
        self.steps: list[tuple[str, str, tuple[str, ...]]] = []
        self.layers = nn.ModuleDict()
        shapes = {INPUT: experiment.input_shape}
        for layer in experiment.layers:
            read = [shapes[name] for name in layer.inputs]
            modules, shapes[layer.name] = _modules(layer, read)
            if logits and layer is experiment.layers[-1]:
                if not isinstance(modules[-1], nn.Sigmoid):
                    raise ValueError("the bench takes a cross-entropy of a last sigmoid alone")
                modules = modules[:-1]
            if modules:
                self.layers[layer.name] = nn.Sequential(*modules) if len(modules) > 1 else modules[0]
            self.steps.append((layer.kind, layer.name, layer.inputs))
        self.left = Counter(name for layer in experiment.layers for name in layer.inputs)
        """Readers of each value."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values, left = {INPUT: x}, dict(self.left)
        for kind, name, inputs in self.steps:
            read = []
            for wanted in inputs:
                left[wanted] -= 1
                read.append(values[wanted] if left[wanted] else values.pop(wanted))
            values[name] = MERGES[kind](read) if kind in MERGES else self.layers[name](read.pop())
        return values[name]


def build(experiment: Experiment, logits: bool) -> nn.Module:
    """With `logits` the last sigmoid is left to the loss, which PyTorch's documentation recommends."""
    return Network(experiment, logits)


def is_entropy(experiment: Experiment) -> bool:
    """Whether the loss is the binary cross-entropy; else the bench knows the mean squared error."""
    if experiment.loss not in ("binary_crossentropy", "mean_squared_error"):
        raise ValueError(f"the bench has no PyTorch loss for {experiment.loss}")
    return experiment.loss == "binary_crossentropy"


MERGES = {
    "Concatenate": lambda read: torch.cat(read, 1),
    "Subtract": lambda read: read[0] - read[1],
    "Add": lambda read: read[0] + read[1],
}
ACTIVATIONS = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}


Shape = tuple[int, ...]
"""As Keras has it, channels last."""


def _modules(layer: Layer, read: list[Shape]) -> tuple[list[nn.Module], Shape]:
    """Modules, one after the other, and the shape that comes out. Where Keras pads one side alone, PyTorch pads both: the
    arithmetic is the same."""
    activation, shape = layer.options.get("activation"), read[0]
    after = [] if activation in (None, "linear") else [ACTIVATIONS[activation]()]
    if layer.kind in ("Conv2D", "Conv2DTranspose"):
        modules, shape = CONVOLUTIONS[layer.kind](layer, shape)
        return [*modules, *after], shape
    if layer.kind == "Dense":
        units = layer.options["units"]
        return [_begun(layer, nn.Linear(shape[0], units)), *after], (units,)
    if layer.kind == "Flatten":
        return [nn.Flatten()], (prod(shape),)
    if layer.kind == "Reshape":
        height, width, channels = layer.options["target_shape"]
        return [nn.Unflatten(1, (channels, height, width))], (height, width, channels)
    if layer.kind == "BatchNormalization":
        return [nn.BatchNorm2d(shape[-1], eps=1e-3, momentum=0.01)], shape
    if layer.kind == "Activation":
        return after, shape
    if layer.kind == "ReLU" and not layer.options:
        return [nn.ReLU()], shape
    if layer.kind == "LeakyReLU":
        return [nn.LeakyReLU(layer.options["negative_slope"])], shape
    if layer.kind == "MaxPooling2D":  # of even sides: Keras's `same` and `valid` are one
        return [nn.MaxPool2d(2)], (shape[0] // 2, shape[1] // 2, shape[2])
    if layer.kind == "UpSampling2D":
        return [nn.Upsample(scale_factor=2)], (2 * shape[0], 2 * shape[1], shape[2])
    if layer.kind in MERGES:
        joined = sum(one[-1] for one in read) if layer.kind == "Concatenate" else shape[-1]
        return [], (*shape[:-1], joined)
    raise ValueError(f"the bench has no PyTorch module for {layer.kind}")


def _convolution(layer: Layer, shape: Shape) -> tuple[list[nn.Module], Shape]:
    options, (height, width, channels) = layer.options, shape
    stride, filters = options.get("strides", 1), options["filters"]
    padding = "same" if stride == 1 else options["kernel_size"] // 2
    convolution = nn.Conv2d(channels, filters, options["kernel_size"], stride, padding, bias=options.get("use_bias", True))
    return [_begun(layer, convolution)], (ceil(height / stride), ceil(width / stride), filters)


def _transposed(layer: Layer, shape: Shape) -> tuple[list[nn.Module], Shape]:
    options, (height, width, channels) = layer.options, shape
    stride, filters, kernel = options.get("strides", 1), options["filters"], options["kernel_size"]
    convolution = nn.ConvTranspose2d(channels, filters, kernel, stride, kernel // 2, stride - 1)
    return [_begun(layer, convolution)], (height * stride, width * stride, filters)


CONVOLUTIONS = {"Conv2D": _convolution, "Conv2DTranspose": _transposed}


def _begun(layer: Layer, module: nn.Module) -> nn.Module:
    """As Keras does, with zero biases; its kernel with Glorot's distribution or He's."""
    if layer.options.get("kernel_initializer") == "he_normal":
        nn.init.kaiming_normal_(module.weight)
    else:
        nn.init.xavier_uniform_(module.weight)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
    return module
