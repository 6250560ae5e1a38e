"""The least arithmetic that a training step of a config needs, as far as we know."""

from dataclasses import dataclass
from math import ceil, prod

from parity.config import INPUT, Experiment

PASSES = 3
"""Output, gradient of the input, gradient of the kernel."""
ELEMENTWISE = ("BatchNormalization", "Activation", "ReLU", "LeakyReLU", "Subtract", "Add")


@dataclass(frozen=True)
class Value:
    """What a layer gives."""

    height: int
    width: int
    channels: int
    learns: bool
    """Whether weights stand before it."""
    small: int = 0
    """Of its channels those that a nearest upsampling by 2 has enlarged just before, some concatenation between."""

    @property
    def taps(self) -> int:
        """Multiplications of a 3x3 convolution for each pixel and output channel."""
        return 9 * (self.channels - self.small) + 4 * self.small


def mflop_per_image(experiment: Experiment) -> float:
    """Two operations for each multiply-add of the convolutions and dense layers, forwards and backwards.

    Nothing asks for the first layer's input gradient. A nearest upsampling by 2 folds into the 3x3
    convolution that follows: together they are a 4x4 transposed convolution of stride 2, which takes
    16 multiplications for each small pixel and pair of channels, where the enlarged picture took 36;
    so do those channels of a concatenation that an upsampling has enlarged.
    Activations, pooling, loss and Adam are left out: they are small, and hide behind the convolutions.
    """
    shape = experiment.input_shape
    values = {INPUT: Value(*(shape if len(shape) == 3 else (1, 1, *shape)), learns=False)}
    multiplications = 0
    for layer in experiment.layers:
        read = [values[name] for name in layer.inputs]
        value = read[0]
        if layer.kind == "Conv2D":
            filters, kernel = layer.options["filters"], _area(layer.options["kernel_size"])
            if value.small and kernel != 9:
                raise ValueError("folding is only worked out for 3x3 kernels after an upsampling by 2")
            taps = value.taps if kernel == 9 else kernel * value.channels
            passes, stride = PASSES if value.learns else PASSES - 1, layer.options.get("strides", 1)
            height, width = ceil(value.height / stride), ceil(value.width / stride)
            multiplications += passes * height * width * taps * filters
            value = Value(height, width, filters, learns=True)
        elif layer.kind == "Conv2DTranspose":
            filters, kernel, stride = layer.options["filters"], _area(layer.options["kernel_size"]), layer.options.get("strides", 1)
            multiplications += PASSES * value.height * value.width * kernel * value.channels * filters
            value = Value(value.height * stride, value.width * stride, filters, learns=True)
        elif layer.kind == "Dense":
            passes = PASSES if value.learns else PASSES - 1
            multiplications += passes * value.channels * layer.options["units"]
            value = Value(1, 1, layer.options["units"], learns=True)
        elif layer.kind == "Flatten":
            value = Value(1, 1, value.height * value.width * value.channels, value.learns)
        elif layer.kind == "Reshape":
            value = Value(*layer.options["target_shape"], value.learns)
        elif layer.kind == "MaxPooling2D":
            value = Value(value.height // 2, value.width // 2, value.channels, value.learns)
        elif layer.kind == "UpSampling2D":
            value = Value(2 * value.height, 2 * value.width, value.channels, value.learns, value.channels)
        elif layer.kind == "Concatenate":
            channels, small = sum(one.channels for one in read), sum(one.small for one in read)
            value = Value(value.height, value.width, channels, any(one.learns for one in read), small)
        elif layer.kind not in ELEMENTWISE:
            raise ValueError(f"the arithmetic of {layer.kind} is not worked out")
        values[layer.name] = value
    return 2 * multiplications / 1e6


def _area(kernel_size: int | list[int]) -> int:
    return kernel_size**2 if isinstance(kernel_size, int) else prod(kernel_size)
