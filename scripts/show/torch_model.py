"""A run's model in PyTorch's own modules, from the config and the weights that the run left."""

import tomllib
from pathlib import Path
from typing import Any

import torch
from torch import nn

from parity.failure import Failure

ACTIVATIONS = {"linear": nn.Identity, "relu": nn.ReLU, "sigmoid": nn.Sigmoid}


def load(folder: Path) -> nn.Sequential:
    """The weights keep their order, which is that of the layers that have any."""
    config = tomllib.loads((folder / "config.toml").read_text())
    layers = config["model"]["encoder"] + config["model"]["decoder"]
    channels = config["model"]["input_shape"][-1]
    modules: list[nn.Module] = []
    for layer in layers:
        modules += modules_of(layer, channels)
        channels = layer.get("filters", channels)
    model = nn.Sequential(*modules)
    state = torch.load(folder / f"{config['name']}.pt", weights_only=True)
    model.load_state_dict(dict(zip(model.state_dict(), state.values(), strict=True)))
    return model.eval()


def modules_of(layer: dict[str, Any], channels: int) -> list[nn.Module]:
    kind = layer["layer"]
    if kind == "MaxPooling2D":
        return [nn.MaxPool2d(one(layer["pool_size"]))]
    if kind == "UpSampling2D":
        return [nn.Upsample(scale_factor=one(layer["size"]))]
    if kind in ("Conv2D", "Conv2DTranspose"):
        return [convolution(layer, channels), ACTIVATIONS[layer["activation"]]()]
    raise Failure(f"the PyTorch script knows no module for {kind}; add one to {__file__}")


def convolution(layer: dict[str, Any], channels: int) -> nn.Module:
    """Keras's `same` is PyTorch's equal padding of both sides where kernel less stride is even."""
    kernel, stride = one(layer["kernel_size"]), one(layer.get("strides", 1))
    if layer["padding"] != "same" or (kernel - stride) % 2:
        raise Failure(f"the PyTorch script pads both sides equally: kernel {kernel}, stride {stride} do not fit it")
    kind = nn.Conv2d if layer["layer"] == "Conv2D" else nn.ConvTranspose2d
    return kind(channels, layer["filters"], kernel, stride, padding=(kernel - stride) // 2)


def one(size: int | list[int]) -> int:
    """Of a square."""
    return size if isinstance(size, int) else size[0]
