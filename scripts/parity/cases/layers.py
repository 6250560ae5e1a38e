"""Every layer of the config language: values, gradients and moving statistics."""

import numpy as np

from .. import keys
from . import reference
from .case import Case, distance, generator

BAR = 1e-10
SIDES = range(1, 34)
CHANNELS = range(1, 10)
BATCHES = range(1, 6)
KERNELS = range(1, 8)
STRIDES = range(1, 4)
RATES = range(1, 4)
# Keeps a case's files and Keras's time small; 33x33 pictures of five channels still fit.
LARGEST_INPUT = 6000
ACTIVATIONS = list(keys.names("model.encoder[]", "activation", "Activation"))
"""With their other spellings."""


def pick(rng, choices):
    return choices[int(rng.integers(len(choices)))]


def some(rng, **options):
    """Each option is written or left to its default."""
    return {key: value for key, value in options.items() if rng.random() < 0.7}


def pair(rng, choices, limits=(None, None)):
    """One number or [height, width], each at most its limit."""
    def side(limit):
        return pick(rng, [n for n in choices if limit is None or n <= limit])

    if rng.random() < 0.5:
        return side(min((n for n in limits if n is not None), default=None))
    return [side(limits[0]), side(limits[1])]


def picture(rng):
    while True:
        shape = [pick(rng, each) for each in (BATCHES, SIDES, SIDES, CHANNELS)]
        if np.prod(shape) <= LARGEST_INPUT:
            return shape


def picture_or_vector(rng):
    return picture(rng) if rng.random() < 0.6 else [pick(rng, BATCHES), pick(rng, range(1, 65))]


def signal(rng):
    """Steps and channels."""
    return [pick(rng, each) for each in (BATCHES, SIDES, CHANNELS)]


def of_signals(rng, table, limit=None):
    """A convolution or a pooling of signals, whose window is at most the limit."""
    kernel = "kernel_size" if "filters" in table else "pool_size"
    table[kernel] = pick(rng, [n for n in KERNELS if limit is None or n <= limit])
    return table | some(rng, strides=pick(rng, STRIDES))


def convolution_1d(rng, kind):
    shape, padding = signal(rng), pick(rng, ["valid", "same"])
    table = {"layer": kind, "filters": pick(rng, CHANNELS), "padding": padding}
    table |= some(rng, activation=pick(rng, ACTIVATIONS), use_bias=rng.random() < 0.5)
    return of_signals(rng, table, shape[1] if padding == "valid" and kind == "Conv1D" else None), shape


def dilated_1d(rng, kind):
    table, shape = convolution_1d(rng, kind)
    table.pop("strides", None)
    limit = shape[1] if table["padding"] == "valid" and kind == "Conv1D" else None
    rates = [n for n in RATES if limit is None or (table["kernel_size"] - 1) * n < limit]
    return table | {"dilation_rate": pick(rng, rates)}, shape


def grouped_1d(rng):
    table, shape = convolution_1d(rng, "Conv1D")
    groups = pick(rng, [n for n in CHANNELS if shape[2] % n == 0])
    return table | {"groups": groups, "filters": groups * pick(rng, range(1, 4))}, shape


def causal(rng):
    """With strides, gaps or groups; as far as it reaches before the first step."""
    table, shape = pick(rng, [lambda: convolution_1d(rng, "Conv1D"), lambda: dilated_1d(rng, "Conv1D"),
                              lambda: grouped_1d(rng)])()
    return table | {"padding": "causal"}, shape


def separable_1d(rng):
    """With strides or gaps, and activations."""
    table, shape = pick(rng, [convolution_1d, dilated_1d])(rng, "Conv1D")
    return table | some(rng, depth_multiplier=pick(rng, range(1, 4))) | {"layer": "SeparableConv1D"}, shape


def pooling_1d(rng, kind):
    shape, padding = signal(rng), pick(rng, ["valid", "same"])
    return of_signals(rng, {"layer": kind, "padding": padding}, shape[1] if padding == "valid" else None), shape


def ends(rng, kind, key):
    """Steps at both ends, or one number for both, leaving at least one."""
    shape = signal(rng)
    most = shape[1] if kind == "Cropping1D" else 9
    before = int(rng.integers(0, min(most, 5)))
    after = int(rng.integers(0, min(most - before, 5)))
    return {"layer": kind, key: pick(rng, [min(before, after), [before, after]])}, shape


def convolution(rng, kind):
    shape = picture(rng)
    padding = pick(rng, ["valid", "same"])
    limited = padding == "valid" and kind == "Conv2D"
    kernel = pair(rng, KERNELS, shape[1:3] if limited else (None, None))
    table = {"layer": kind, "filters": pick(rng, CHANNELS), "kernel_size": kernel}
    table |= some(rng, strides=pair(rng, STRIDES), activation=pick(rng, ACTIVATIONS),
                  use_bias=rng.random() < 0.5)
    return table | {"padding": padding}, shape


def dilated(rng, kind):
    """Kernels with gaps, and without strides."""
    table, shape = convolution(rng, kind)
    del table["kernel_size"]
    table |= with_gaps(rng, shape, table["padding"] == "valid" and kind == "Conv2D")
    table.pop("strides", None)
    return table, shape


def with_gaps(rng, shape, limited):
    """A kernel, and how far its pixels are apart: within the image if it is limited."""
    def side(length):
        kernel = pick(rng, [n for n in KERNELS if not limited or n <= length])
        return kernel, pick(rng, [n for n in RATES if not limited or (kernel - 1) * n < length])

    (height, down), (width, across) = (side(length) for length in shape[1:3])
    return {"kernel_size": [height, width], "dilation_rate": [down, across]}


def grouped(rng):
    table, shape = convolution(rng, "Conv2D")
    groups = pick(rng, [n for n in CHANNELS if shape[3] % n == 0])
    return table | {"groups": groups, "filters": groups * pick(rng, range(1, 4))}, shape


def by_channel(rng, kind):
    """With one stride for both sides, as Keras's backends want it."""
    shape = picture(rng)
    padding = pick(rng, ["valid", "same"])
    table = {"layer": kind, "padding": padding} | with_gaps(rng, shape, padding == "valid")
    if kind == "SeparableConv2D":
        table["filters"] = pick(rng, CHANNELS)
    table |= some(rng, strides=pick(rng, STRIDES), activation=pick(rng, ACTIVATIONS),
                  use_bias=rng.random() < 0.5, depth_multiplier=pick(rng, range(1, 4)))
    return table, shape


def alpha(rng):
    shape = picture_or_vector(rng)
    axes = [axis for axis in range(1, len(shape)) if rng.random() < 0.5]
    return {"layer": "PReLU"} | some(rng, shared_axes=axes), shape


def pooling(rng, kind):
    shape = picture(rng)
    padding = pick(rng, ["valid", "same"])
    size = pair(rng, KERNELS, shape[1:3] if padding == "valid" else (None, None))
    table = {"layer": kind, "pool_size": size, "padding": padding}
    return table | some(rng, strides=pair(rng, STRIDES)), shape


def up_sampling(rng, interpolation):
    table = {"layer": "UpSampling2D", "interpolation": interpolation}
    return table | some(rng, size=pair(rng, STRIDES)), picture(rng)


def dense(rng, shape):
    table = {"layer": "Dense", "units": pick(rng, SIDES)}
    table |= some(rng, activation=pick(rng, ACTIVATIONS), use_bias=rng.random() < 0.5)
    return table, shape


def vector(rng):
    return [pick(rng, BATCHES), pick(rng, range(1, 65))]


def reshape(rng):
    """Cuts the values anew into a row, a signal or a picture, one side perhaps left open."""
    shape = signal(rng) if rng.random() < 0.3 else picture_or_vector(rng)
    return {"layer": "Reshape", "target_shape": target_of(rng, int(np.prod(shape[1:])))}, shape


def target_of(rng, values):
    divisors = [n for n in range(1, values + 1) if values % n == 0]
    height = pick(rng, divisors)
    width = pick(rng, [n for n in divisors if values // height % n == 0])
    target = pick(rng, [[values], [height, values // height], [height, width, values // height // width]])
    if rng.random() < 0.5:
        target[int(rng.integers(len(target)))] = -1
    return target


def sides(rng, largest):
    """A margin in one of its three forms, leaving at least one pixel of `largest`."""
    def margin(side):
        before = int(rng.integers(0, min(side, 5)))
        return [before, int(rng.integers(0, min(side - before, 5)))]

    both = min(largest)
    return pick(rng, [
        int(rng.integers(0, min((both + 1) // 2, 5))),
        [int(rng.integers(0, min((side + 1) // 2, 5))) for side in largest],
        [margin(largest[0]), margin(largest[1])]])


def margins(rng, kind, key):
    shape = picture(rng)
    largest = shape[1:3] if kind == "Cropping2D" else [9, 9]
    return {"layer": kind} | some(rng, **{key: sides(rng, largest)}), shape


def normalization(rng):
    table = {"layer": "BatchNormalization"}
    table |= some(rng, momentum=float(rng.uniform(0, 1)), epsilon=float(10 ** rng.uniform(-5, -1)),
                  center=rng.random() < 0.5, scale=rng.random() < 0.5)
    return table, picture_or_vector(rng)


def sample_normalization(rng, kind):
    shape = picture_or_vector(rng)
    table = {"layer": kind}
    table |= some(rng, epsilon=float(10 ** rng.uniform(-5, -1)), center=rng.random() < 0.5,
                  scale=rng.random() < 0.5)
    if kind == "GroupNormalization":
        table["groups"] = pick(rng, [-1, *(n for n in range(1, shape[-1] + 1) if shape[-1] % n == 0)])
    return table, shape


def depth_to_space(rng):
    shape, block = picture(rng), pick(rng, range(2, 4))
    return {"layer": "DepthToSpace", "block_size": block}, [*shape[:3], block**2 * pick(rng, range(1, 4))]


def global_pooling(rng, kind):
    return {"layer": kind} | some(rng, keepdims=rng.random() < 0.5), picture(rng)


def permutation(rng):
    shape = picture_or_vector(rng)
    return {"layer": "Permute", "dims": [int(axis) for axis in rng.permutation(range(1, len(shape)))]}, shape


def softmax(rng):
    shape = picture_or_vector(rng)
    return {"layer": "Softmax"} | some(rng, axis=pick(rng, [-1, *range(1, len(shape))])), shape


def relu(rng):
    return bare(rng, "ReLU", max_value=float(rng.integers(1, 8)), threshold=float(rng.integers(0, 4)),
                negative_slope=float(rng.uniform(0, 1)))


def bare(rng, kind, **options):
    return {"layer": kind, **some(rng, **options)}, picture_or_vector(rng)


def activation(name):
    """Of 20 shapes, as what a function does to a value depends on nothing but the value."""
    shapes = [picture_or_vector(generator(0, "shapes of activations", i)) for i in range(20)]
    return lambda rng: ({"layer": "Activation", "activation": name}, pick(rng, shapes))


SIGNALS = {
    "Conv1D": lambda rng: convolution_1d(rng, "Conv1D"),
    "Conv1DTranspose": lambda rng: convolution_1d(rng, "Conv1DTranspose"),
    "Conv1D dilated": lambda rng: dilated_1d(rng, "Conv1D"),
    "Conv1DTranspose dilated": lambda rng: dilated_1d(rng, "Conv1DTranspose"),
    "Conv1D grouped": grouped_1d,
    "Conv1D causal": causal,
    "SeparableConv1D": separable_1d,
    "RepeatVector": lambda rng: ({"layer": "RepeatVector", "n": pick(rng, SIDES)}, vector(rng)),
    "GlobalAveragePooling1D": lambda rng: (global_pooling(rng, "GlobalAveragePooling1D")[0], signal(rng)),
    "GlobalMaxPooling1D": lambda rng: (global_pooling(rng, "GlobalMaxPooling1D")[0], signal(rng)),
    "PReLU of signals": lambda rng: (
        {"layer": "PReLU"} | some(rng, shared_axes=[axis for axis in (1, 2) if rng.random() < 0.5]), signal(rng)),
    "LayerNormalization of signals": lambda rng: (sample_normalization(rng, "LayerNormalization")[0], signal(rng)),
    "UnitNormalization of signals": lambda rng: ({"layer": "UnitNormalization"}, signal(rng)),
    "MaxPooling1D": lambda rng: pooling_1d(rng, "MaxPooling1D"),
    "AveragePooling1D": lambda rng: pooling_1d(rng, "AveragePooling1D"),
    "UpSampling1D": lambda rng: ({"layer": "UpSampling1D"} | some(rng, size=pick(rng, STRIDES)), signal(rng)),
    "ZeroPadding1D": lambda rng: ends(rng, "ZeroPadding1D", "padding"),
    "Cropping1D": lambda rng: ends(rng, "Cropping1D", "cropping"),
    "Dense on signals": lambda rng: dense(rng, signal(rng)),
    "Flatten signals": lambda rng: ({"layer": "Flatten"}, signal(rng)),
    "Softmax of signals": lambda rng: ({"layer": "Activation", "activation": "softmax"}, signal(rng)),
    "BatchNormalization of signals, training": lambda rng: (normalization(rng)[0], signal(rng)),
    "BatchNormalization of signals, inference": lambda rng: (normalization(rng)[0], signal(rng)),
}
"""Values of two axes."""
DRAWS = {
    **SIGNALS,
    "Conv2D": lambda rng: convolution(rng, "Conv2D"),
    "Conv2DTranspose": lambda rng: convolution(rng, "Conv2DTranspose"),
    "Conv2D dilated": lambda rng: dilated(rng, "Conv2D"),
    "Conv2D grouped": grouped,
    "Conv2DTranspose dilated": lambda rng: dilated(rng, "Conv2DTranspose"),
    "DepthwiseConv2D": lambda rng: by_channel(rng, "DepthwiseConv2D"),
    "SeparableConv2D": lambda rng: by_channel(rng, "SeparableConv2D"),
    "PReLU": alpha,
    "MaxPooling2D": lambda rng: pooling(rng, "MaxPooling2D"),
    "AveragePooling2D": lambda rng: pooling(rng, "AveragePooling2D"),
    "UpSampling2D nearest": lambda rng: up_sampling(rng, "nearest"),
    "UpSampling2D bilinear": lambda rng: up_sampling(rng, "bilinear"),
    "Dense on vectors": lambda rng: dense(rng, vector(rng)),
    "Dense on pictures": lambda rng: dense(rng, picture(rng)),
    "Flatten": lambda rng: bare(rng, "Flatten"),
    "Reshape": reshape,
    "BatchNormalization training": normalization,
    "BatchNormalization inference": normalization,
    "ZeroPadding2D": lambda rng: margins(rng, "ZeroPadding2D", "padding"),
    "Cropping2D": lambda rng: margins(rng, "Cropping2D", "cropping"),
    "ReLU": lambda rng: bare(rng, "ReLU"),
    "ReLU options": relu,
    "ELU": lambda rng: bare(rng, "ELU", alpha=float(rng.uniform(0, 2))),
    "Softmax": softmax,
    "Rescaling": lambda rng: (
        {"layer": "Rescaling", "scale": float(rng.normal())} | some(rng, offset=float(rng.normal())),
        picture_or_vector(rng)),
    "Identity": lambda rng: bare(rng, "Identity"),
    "Permute": permutation,
    "DepthToSpace": depth_to_space,
    "GlobalAveragePooling2D": lambda rng: global_pooling(rng, "GlobalAveragePooling2D"),
    "GlobalMaxPooling2D": lambda rng: global_pooling(rng, "GlobalMaxPooling2D"),
    "LayerNormalization": lambda rng: sample_normalization(rng, "LayerNormalization"),
    "GroupNormalization": lambda rng: sample_normalization(rng, "GroupNormalization"),
    "UnitNormalization": lambda rng: bare(rng, "UnitNormalization"),
    "ActivityRegularization": lambda rng: bare(rng, "ActivityRegularization", l1=0.1, l2=0.1),
    "LeakyReLU": lambda rng: bare(rng, "LeakyReLU", negative_slope=float(rng.uniform(0, 1))),
    **{f"Activation {name}": activation(name) for name in ACTIVATIONS},
    "Dropout inference": lambda rng: (
        {"layer": "Dropout", "rate": float(rng.uniform(0, 1))}, picture_or_vector(rng)),
    "GaussianNoise inference": lambda rng: (
        {"layer": "GaussianNoise", "stddev": float(rng.uniform(0, 1))}, picture_or_vector(rng)),
}


def weights_of(table, shape, rng):
    """Random weights in Keras's order; a moving variance is positive."""
    layer, _ = reference.layer_at(table, shape, training=False)
    return [rng.uniform(0.1, 3, variable.shape) if "variance" in variable.path
            else rng.normal(size=variable.shape)
            for variable in layer.weights]


def draw(row, index, seed):
    """One case."""
    rng = generator(seed, row, index)
    table, shape = DRAWS[row](rng)
    training = row.endswith("training")
    given = {"x": inputs(rng, table["layer"], index, shape)}
    weights = weights_of(table, shape, rng) if table["layer"] in WITH_WEIGHTS else []
    given |= {f"weight{i}": weight for i, weight in enumerate(weights)}
    given["dy"] = rng.normal(size=reference.output_shape(table, shape))

    def wanted():
        return reference.evaluate(table, given["x"], weights, given["dy"], training)

    def judge(answer):
        return compare(answer, wanted(), given, table["layer"])

    request = {"kind": "layer", "layer": table, "training": training}
    return Case(row, index, request, given, judge, BAR, wanted)


def inputs(rng, kind, index, shape):
    """Small and large ones, so that an activation is seen in all its regimes. Digits are full of
    equal values: where that matters, every other case is of whole numbers, which meet the kinks of
    activations and tie for the largest of a window."""
    if kind in WITH_KINKS and index % 2:
        return rng.integers(-7, 8, shape).astype(float)
    return rng.normal(size=shape) * 10 ** rng.uniform(-1, 1)


WITH_KINKS = {"MaxPooling2D", "MaxPooling1D", "ReLU", "LeakyReLU", "PReLU", "ELU", "Activation",
              "GlobalMaxPooling2D", "GlobalMaxPooling1D"}
OF_PICTURES = {"Conv2D", "Conv2DTranspose", "DepthwiseConv2D", "SeparableConv2D", "MaxPooling2D", "AveragePooling2D", "UpSampling2D",
               "ZeroPadding2D", "Cropping2D", "DepthToSpace", "GlobalAveragePooling2D", "GlobalMaxPooling2D"}
WITH_WEIGHTS = {"Conv2D", "Conv2DTranspose", "Conv1D", "Conv1DTranspose", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D",
                "PReLU", "Dense", "BatchNormalization", "LayerNormalization", "GroupNormalization"}


def compare(answer, wanted, given, layer):
    """Errors by name; an array that only one side has counts as infinitely far."""
    errors = {name: np.inf for name in answer.keys() ^ wanted.keys()}
    for name in answer.keys() & wanted.keys():
        source = given["dy" if name.startswith("d") else "x"]
        if layer == "UnitNormalization" and name == "dx":
            # Of one channel nothing is left of it but the rounding of these, which grow as x becomes small.
            source = source / np.linalg.norm(given["x"], axis=-1, keepdims=True)
        errors[name] = distance(answer[name], wanted[name], np.linalg.norm(source.ravel()))
    return errors


def cases(row, count, seed):
    return [draw(row, index, seed) for index in range(count)]
