"""A config as a PyTorch model: what Keras computes, in PyTorch's own modules."""

from collections import Counter

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
        channels = {INPUT: experiment.input_shape[-1]}
        for layer in experiment.layers:
            read = [channels[name] for name in layer.inputs]
            modules, channels[layer.name] = _modules(layer, read)
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


def _modules(layer: Layer, read: list[int]) -> tuple[list[nn.Module], int]:
    """Modules, one after the other, and the channels that come out."""
    activation = layer.options.get("activation")
    after = [] if activation in (None, "linear") else [ACTIVATIONS[activation]()]
    if layer.kind == "Conv2D":
        return [_convolution(layer, read[0]), *after], layer.options["filters"]
    if layer.kind == "Dense":
        return [_dense(layer, read[0]), *after], layer.options["units"]
    if layer.kind == "BatchNormalization":
        return [nn.BatchNorm2d(read[0], eps=1e-3, momentum=0.01)], read[0]
    if layer.kind == "Activation":
        return after, read[0]
    if layer.kind == "ReLU" and not layer.options:
        return [nn.ReLU()], read[0]
    if layer.kind == "MaxPooling2D":
        return [nn.MaxPool2d(2)], read[0]  # of even sides: Keras's `same` and `valid` are one
    if layer.kind == "UpSampling2D":
        return [nn.Upsample(scale_factor=2)], read[0]
    if layer.kind in MERGES:
        return [], sum(read) if layer.kind == "Concatenate" else read[0]
    raise ValueError(f"the bench has no PyTorch module for {layer.kind}")


def _dense(layer: Layer, values: int) -> nn.Linear:
    """Begins as Keras does."""
    dense = nn.Linear(values, layer.options["units"])
    nn.init.xavier_uniform_(dense.weight)
    nn.init.zeros_(dense.bias)
    return dense


def _convolution(layer: Layer, channels: int) -> nn.Conv2d:
    """Begins as Keras does, with zero biases; its kernel with Glorot's distribution or He's."""
    options = layer.options
    convolution = nn.Conv2d(channels, options["filters"], options["kernel_size"], padding="same",
                            bias=options.get("use_bias", True))
    if options.get("kernel_initializer") == "he_normal":
        nn.init.kaiming_normal_(convolution.weight)
    else:
        nn.init.xavier_uniform_(convolution.weight)
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)
    return convolution
