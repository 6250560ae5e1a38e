"""The least arithmetic that a training step of a config needs, as far as we know."""

from math import prod

from parity.config import Experiment

PASSES = 3
"""Output, gradient of the input, gradient of the kernel."""


def mflop_per_image(experiment: Experiment) -> float:
    """Two operations for each multiply-add of the convolutions, forwards and backwards.

    Nothing asks for the first layer's input gradient. A nearest upsampling by 2 folds into the 3x3
    convolution that follows: together they are a 4x4 transposed convolution of stride 2, which takes
    16 multiplications for each small pixel and pair of channels, where the enlarged picture took 36.
    Activations, pooling, loss and Adam are left out: they are small, and hide behind the convolutions.
    """
    height, width, channels = experiment.input_shape
    multiplications, passes, upsampled = 0, PASSES - 1, False
    for layer in experiment.layers:
        if layer.kind == "Conv2D":
            filters, kernel = layer.options["filters"], _area(layer.options["kernel_size"])
            if upsampled and kernel != 9:
                raise ValueError("folding is only worked out for 3x3 kernels after an upsampling by 2")
            taps = 16 if upsampled else kernel
            multiplications += passes * height * width * taps * channels * filters
            if upsampled:
                height, width = 2 * height, 2 * width
            channels, passes, upsampled = filters, PASSES, False
        elif layer.kind == "MaxPooling2D":
            height, width = height // 2, width // 2
        elif layer.kind == "UpSampling2D":
            upsampled = True  # the picture grows in the convolution after it
        else:
            raise ValueError(f"the arithmetic of {layer.kind} is not worked out")
    return 2 * multiplications / 1e6


def _area(kernel_size: int | list[int]) -> int:
    return kernel_size**2 if isinstance(kernel_size, int) else prod(kernel_size)
