"""A config as a PyTorch model: what Keras computes, in PyTorch's own modules."""

from torch import nn

from parity.config import Experiment, Layer


def build(experiment: Experiment, logits: bool) -> nn.Sequential:
    """With `logits` the last sigmoid is left to the loss, which PyTorch's documentation recommends."""
    modules: list[nn.Module] = []
    channels = experiment.input_shape[-1]
    for layer in experiment.layers:
        if layer.kind == "Conv2D":
            modules.append(_convolution(layer, channels))
            channels = layer.options["filters"]
            modules.append({"relu": nn.ReLU, "sigmoid": nn.Sigmoid}[layer.options["activation"]]())
        elif layer.kind == "MaxPooling2D":
            modules.append(nn.MaxPool2d(2))  # of even sides: Keras's `same` and `valid` are one
        elif layer.kind == "UpSampling2D":
            modules.append(nn.Upsample(scale_factor=2))
        else:
            raise ValueError(f"the bench has no PyTorch module for {layer.kind}")
    return nn.Sequential(*(modules[:-1] if logits else modules))


def _convolution(layer: Layer, channels: int) -> nn.Conv2d:
    """Begins as Keras does: Glorot's uniform kernel, no bias."""
    convolution = nn.Conv2d(channels, layer.options["filters"], layer.options["kernel_size"], padding="same")
    nn.init.xavier_uniform_(convolution.weight)
    nn.init.zeros_(convolution.bias)
    return convolution
