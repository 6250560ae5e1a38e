"""Random graphs: forks, merges, layers used twice, open sizes; a model's outputs, its loss and all gradients.

A graph grows by one entry after the other, each of which reads any values before it. What nobody reads in the
end is brought to the input's shape and merged, so that the model is one of a config.
"""

import math

import numpy as np

from .. import config, layouts, model
from ..toml_text import toml_text
from . import layers, reference
from .case import Case, distance, generator
from .layers import pick

BAR = 1e-10
ENTRIES = range(3, 13)
"""Before what is left over is merged."""
SIDES, CHANNELS = range(3, 12), range(1, 4)
LARGEST = 1500  # values between two layers
DEEPEST = 12  # layers from the input to a value, before what is left over is merged
NATIVE, ALL, OPEN = "graphs of native layers", "graphs of all layers", "graphs of open size"
PENALIZED = "graphs with regularizers"
KINDS = (NATIVE, ALL, OPEN, PENALIZED)
MERGES = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate")
LOSSES = ("mean_squared_error", "mean_absolute_error", "binary_crossentropy", {"loss": "huber", "delta": 0.125},
          "log_cosh", [{"loss": "mse", "weight": 0.75}, {"loss": "mae", "weight": 2.0}])
DRAWING = {"Dropout": "rate", "GaussianNoise": "stddev"}
"""Layers that draw while they train, and the key that is 0 for them to draw nothing."""
TOO_LARGE = ("exponential",)
"""Of a few layers each, which leave no digit of what goes in, or no number."""


class Graph:
    """A model's entries so far, with the shape of each value, without the batch; value 0 is the input."""

    def __init__(self, rng, kind):
        self.rng, self.kind = rng, kind
        self.shapes = [[int(pick(rng, SIDES)), int(pick(rng, SIDES)), int(pick(rng, CHANNELS))]]
        self.tables, self.inputs, self.of, self.depths = [{}], [[]], [None], [0]

    def add(self, table, inputs, shape, of=None):
        self.tables.append(table)
        self.inputs.append(inputs)
        self.shapes.append([int(side) for side in shape])
        self.of.append(of)
        self.depths.append(1 + max(self.depths[value] for value in inputs))
        return len(self.shapes) - 1

    def layer(self, table, value):
        """One that is known to fit."""
        return self.add(table, [value], reference.output_shape(table, (1, *self.shapes[value]))[1:])

    def source(self):
        """Mostly the last value."""
        shallow = [value for value, depth in enumerate(self.depths) if depth < DEEPEST]
        return shallow[-1] if self.rng.random() < 0.5 else pick(self.rng, shallow)

    def unread(self):
        read = {value for inputs in self.inputs for value in inputs}
        return [value for value in range(len(self.shapes)) if value not in read]


def grow(graph):
    """One entry more, at least."""
    chance = graph.rng.random()
    if chance < 0.3:
        merge(graph)
    elif chance < 0.45 and share(graph):
        pass
    else:
        value = graph.source()
        table, shape = fitting(graph, value)
        graph.add(table, [value], shape)


def fitting(graph, value):
    """A random layer that takes a value, and what it gives."""
    while True:
        rows = [row for row in layers.DRAWS if "Activation" not in row and row not in layers.SIGNALS]
        row = pick(graph.rng, rows + ["Activation"] * 3)
        if row == "Activation":
            row = f"Activation {pick(graph.rng, layers.ACTIVATIONS)}"
        table, _ = layers.DRAWS[row](graph.rng)
        if "padding" in table and not isinstance(table["padding"], (int, list)) and graph.rng.random() < 0.6:
            table["padding"] = "same"
        if table["layer"] == "Reshape":
            table["target_shape"] = target_shape(graph.rng, math.prod(graph.shapes[value]))
        if table["layer"] in DRAWING:
            table[DRAWING[table["layer"]]] = 0.0
        if graph.kind == PENALIZED:
            table |= penalties(graph.rng, table, graph.shapes[value])
        shape = allowed(graph, table, value) and given(table, graph.shapes[value])
        if shape:
            return table, shape


REGULARIZED = {"Conv2D": ("kernel", "bias", "activity"), "Conv2DTranspose": ("kernel", "bias", "activity"),
               "Dense": ("kernel", "bias", "activity"), "BatchNormalization": ("beta", "gamma"),
               "LayerNormalization": ("beta", "gamma"), "GroupNormalization": ("beta", "gamma"), "PReLU": ("alpha",)}


def penalties(rng, table, shape):
    """Regularizers of a layer."""
    found = {f"{what}_regularizer": regularizer(rng) for what in REGULARIZED.get(table["layer"], ())
             if rng.random() < 0.5}
    if table["layer"] == "Dense" and min(table["units"], shape[-1]) >= 2 and rng.random() < 0.5:
        found["kernel_regularizer"] = {"name": "OrthogonalRegularizer", "factor": float(rng.uniform(0, 1)),
                                       "mode": pick(rng, ["rows", "columns"])}
    return found


def regularizer(rng):
    factors = {key: float(10 ** rng.uniform(-4, 0)) for key in pick(rng, [["l1"], ["l2"], ["l1", "l2"]])}
    return {"name": "".join(factors).upper()} | factors


def target_shape(rng, values):
    """A row, or an image whose height or width perhaps is left open."""
    divisors = [n for n in range(1, values + 1) if values % n == 0]
    height = pick(rng, divisors)
    width = pick(rng, [n for n in divisors if values // height % n == 0])
    target = pick(rng, [[-1], [height, width, values // height // width]])
    if rng.random() < 0.5:
        target[int(rng.integers(len(target)))] = -1
    return target


def allowed(graph, table, value):
    """Whether a layer may stand in a graph of this kind."""
    kind, activation = table["layer"], table.get("activation")
    if len(graph.shapes[value]) == 1 and kind in layers.OF_PICTURES or activation in TOO_LARGE:
        return False
    if not takes_rank(table, len(graph.shapes[value])) or kind == "UnitNormalization":
        return False  # the latter's slope at a pixel of zeros is no number in Keras
    if kind == "GroupNormalization" and graph.shapes[value][-1] % abs(table.get("groups", 32)):
        return False
    if graph.shapes[value][-1] % table.get("groups", 1) and kind == "Conv2D":
        return False
    if kind == "PReLU" and not has_axes(table, graph.shapes[value], graph.kind == OPEN):
        return False
    return graph.kind in (NATIVE, ALL, PENALIZED) or kind not in ("Flatten", "Reshape", "Permute") and "Global" not in kind


def takes_rank(table, rank):
    """Whether a layer that names axes takes a value of so many."""
    return len(table.get("dims", [0] * rank)) == rank and table.get("axis", 1) <= rank


def has_axes(table, shape, is_open):
    """Whether a PReLU's shared axes are there; and height and width are shared where they are open."""
    shared = set(table.get("shared_axes", []))
    return shared <= set(range(1, len(shape) + 1)) and (not is_open or len(shape) == 1 or shared >= {1, 2})


def given(table, shape):
    """The shape that a layer makes of another one; None where it does not take it, or makes too much of it."""
    try:
        result = reference.output_shape(table, (1, *shape))[1:]
    except ValueError:
        return None  # for instance a window that is larger than the image
    return result if min(result) >= 1 and math.prod(result) <= LARGEST else None


def share(graph):
    """A layer once more; False where none takes the value."""
    value = graph.source()
    shape = graph.shapes[value]
    fits = []
    for owner in range(1, len(graph.tables)):
        table, before = graph.tables[owner], graph.shapes[graph.inputs[owner][0]]
        same = shape[-1] == before[-1] if table["layer"] in layers.WITH_WEIGHTS else True
        same &= table["layer"] != "PReLU" or shape == before
        same &= table["layer"] != "BatchNormalization" or (len(shape) == len(before) and follows(graph, value, owner))
        # On JAX Keras counts the outputs of a layer's last call alone; elsewhere, as here, those of each.
        same &= "activity_regularizer" not in table and table["layer"] != "ActivityRegularization"
        if table["layer"] in MERGES or not same or not allowed(graph, table, value):
            continue
        if result := given(table, shape):
            fits.append((owner, result))
    if not fits:
        return False
    owner, result = fits[int(graph.rng.integers(len(fits)))]
    owner = graph.of[owner] or owner
    graph.add(graph.tables[owner], [value], result, owner)
    return True


def follows(graph, value, owner):
    """Whether a value hangs on the last use of a layer. The moving statistics of a normalisation hang on the order
    of its uses; in branches beside each other that is the config's here, and in Keras its own."""
    owner = graph.of[owner] or owner
    last = max(i for i in range(len(graph.tables)) if owner in (i, graph.of[i]))
    return value >= last and last in ancestors(graph, value)


def ancestors(graph, value):
    return {value}.union(*(ancestors(graph, before) for before in graph.inputs[value]))


def merge(graph):
    """Of values that fit, perhaps of one that is made to."""
    rng, first = graph.rng, graph.source()
    kind = pick(rng, MERGES)
    if kind == "Concatenate":
        return concatenate(graph, first)
    shape, inputs = list(graph.shapes[first]), [first]
    for _ in range(1 if kind == "Subtract" else rng.integers(1, 4)):
        inputs.append(partner(graph, shape))
        shape = [max(sides) for sides in zip(shape, graph.shapes[inputs[-1]])]
    if math.prod(shape) <= LARGEST:
        graph.add({"layer": kind}, [inputs[i] for i in rng.permutation(len(inputs))], shape)


def concatenate(graph, first):
    """Of values whose other sides are those of the first; of their channels alone, where other sides are open."""
    rng, shape = graph.rng, list(graph.shapes[first])
    axes = [*range(-len(shape), 0), *range(1, len(shape) + 1)] if graph.kind in (ALL, NATIVE) else [-1, len(shape)]
    axis = pick(rng, axes)
    side = axis - 1 if axis > 0 else axis
    fits = [value for value, other in enumerate(graph.shapes) if joinable(other, shape, side)]
    inputs = [first, *(pick(rng, fits) for _ in range(rng.integers(1, 4)))]
    shape[side] = sum(graph.shapes[value][side] for value in inputs)
    if math.prod(shape) <= LARGEST:
        graph.add({"layer": "Concatenate"} | ({} if axis == -1 and rng.random() < 0.5 else {"axis": axis}), inputs, shape)


def joinable(one, other, side):
    both = [list(one), list(other)]
    if len(one) != len(other):
        return False
    for shape in both:
        shape[side] = 0
    return both[0] == both[1]


def partner(graph, shape):
    """A value that a merge takes beside one of this shape."""
    rng = graph.rng
    spreads = graph.kind in (ALL, NATIVE)
    if len(shape) == 3 and spreads and rng.random() < 0.3:
        return squeezed(graph, shape)
    fits = [v for v, other in enumerate(graph.shapes) if len(other) == len(shape) and all(
        a == b or (spreads and 1 in (a, b)) for a, b in zip(other, shape))]
    unlike = [v for v in graph.unread() if v not in fits]
    if unlike and rng.random() < 0.7:
        return adapted(graph, pick(rng, unlike), shape)
    return pick(rng, fits)


def squeezed(graph, shape):
    """A value of sides of 1 where another one has more."""
    rng = graph.rng
    images = [value for value, other in enumerate(graph.shapes) if len(other) == 3 and other[:2] == shape[:2]]
    value = pick(rng, images)
    kernel = [side if rng.random() < 0.6 else 1 for side in shape[:2]]
    table = {"layer": "Conv2D", "filters": pick(rng, [1, shape[2]]), "kernel_size": kernel,
             "activation": pick(rng, ["sigmoid", "tanh", "linear"])}
    return graph.layer(table, value)


def adapted(graph, value, shape):
    """A value brought to a shape by layers."""
    rng = graph.rng
    if len(shape) == 1:
        if len(graph.shapes[value]) == 3:
            value = graph.layer({"layer": "Flatten"}, value)
        return graph.layer({"layer": "Dense", "units": shape[0]}, value)
    if len(graph.shapes[value]) == 1:
        value = graph.layer({"layer": "Dense", "units": math.prod(shape), "activation": "tanh"}, value)
        return graph.layer({"layer": "Reshape", "target_shape": list(shape)}, value)
    differences = [side - there for side, there in zip(shape, graph.shapes[value][:2])]
    for layer, key, counts in (("ZeroPadding2D", "padding", [max(0, d) for d in differences]),
                               ("Cropping2D", "cropping", [max(0, -d) for d in differences])):
        if any(counts):
            before = [int(rng.integers(count + 1)) for count in counts]
            sides = [[first, count - first] for first, count in zip(before, counts)]
            value = graph.layer({"layer": layer, key: sides}, value)
    if graph.shapes[value] != list(shape):
        table = {"layer": "Conv2D", "filters": shape[2], "kernel_size": pick(rng, [1, 2, 3]), "padding": "same"}
        value = graph.layer(table, value)
    return value


def close(graph, loss):
    """Merges what nobody reads; the last layer gives an image like the input."""
    rng, shape = graph.rng, graph.shapes[0]
    left = [adapted(graph, value, shape) for value in graph.unread() if value != 0] or [0]
    if len(left) > 1:
        kind = pick(rng, ["Add", "Average", "Concatenate"])
        channels = shape[2] * (len(left) if kind == "Concatenate" else 1)
        left = [graph.add({"layer": kind}, left, [*shape[:2], channels])]
    activation = "sigmoid" if loss == "binary_crossentropy" else pick(rng, ["linear", "tanh", "sigmoid"])
    graph.layer({"layer": "Conv2D", "filters": shape[2], "kernel_size": pick(rng, [1, 3]), "padding": "same",
                 "activation": activation}, left[0])


def entries(graph):
    """As a config has them: mostly, names and inputs are left out where Keras's own will do."""
    later = range(1, len(graph.tables))
    follows = {i for i in later if graph.inputs[i] == [i - 1] and graph.rng.random() < 0.8}
    named = {value for i in later if i not in follows for value in graph.inputs[i]}
    named |= {of for of in graph.of if of} | {i for i in later if graph.rng.random() < 0.2}
    name = ["input", *(f"value_{i}" for i in later)]
    written = []
    for i in later:
        table = {"layer": "Shared", "of": name[graph.of[i]]} if graph.of[i] else dict(graph.tables[i])
        if i in named:
            table["name"] = name[i]
        if i not in follows:
            table["inputs"] = [name[value] for value in graph.inputs[i]]
        written.append(table)
    return written


def tree_of(rng, kind):
    """A config."""
    loss, graph = pick(rng, LOSSES), Graph(rng, kind)
    for _ in range(pick(rng, ENTRIES)):
        grow(graph)
    close(graph, loss)
    written, shape = entries(graph), graph.shapes[0]
    tree = {"name": "random", "model": {"input_shape": shape},
            "train": {"loss": loss, "dtype": "float64", "device": "cpu"}}
    if kind == OPEN:
        tree["model"]["input_shape"] = [-1, -1, shape[2]]
        tree["data"] = {"kind": "images", "train": "none", "test": "none", "patches": {"size": shape[:2]}}
    half = int(rng.integers(1, len(written)))
    if rng.random() < 0.5:
        tree["model"] |= {"encoder": written[:half], "decoder": written[half:]}
    else:
        tree["model"]["layers"] = written
    return tree, shape


def weights_of(rng, built, experiment):
    """Random weights of a size that keeps values near 1, under their names in a checkpoint."""
    weights = {}
    for name, (layer, suffix, variable) in model.variables(built, experiment).items():
        shape = variable.shape
        if suffix == "running_var" or (suffix == "weight" and len(shape) == 1):
            array = rng.uniform(0.5, 1.5, shape)
        else:
            array = rng.normal(size=shape) / math.sqrt(math.prod(shape[:-1]) if len(shape) > 1 else 4)
        weights[name] = layouts.to_torch(layer.kind, suffix, array)
    return weights


def evaluate(built, experiment, arrays):
    """What Keras makes of it, by the names that the probe gives."""
    keras, known = reference.keras, model.variables(built, experiment)
    model.set_weights(built, experiment, {name: arrays[name] for name in known})
    fixed = [variable.value for variable in built.non_trainable_variables]
    loss = keras.losses.get(model.keras_loss(experiment.loss))

    def run(trainable, rest):
        x, target, *moving = rest
        y, _ = built.stateless_call(trainable, moving, x, training=False)
        trained, moved, penalties = built.stateless_call(
            trainable, moving, x, training=True, return_losses=True)
        return keras.ops.mean(loss(target, trained)) + sum(penalties), [y, *moved]

    trainable = [variable.value for variable in built.trainable_variables]
    value, gradients, (y, *moved) = reference.puller(run)(
        trainable, [arrays["x"], arrays["target"], *fixed], np.float64(1.0))
    after = {id(variable): array for variable, array in
             [*zip(built.trainable_variables, gradients), *zip(built.non_trainable_variables, moved)]}
    return {"y": y, "loss": value} | {
        name: layouts.to_torch(layer.kind, suffix, np.asarray(after[id(variable)]))
        for name, (layer, suffix, variable) in known.items()}


def draw(row, index, seed):
    rng = generator(seed, row, index)
    tree, shape = tree_of(rng, row)
    experiment = config.experiment(tree)
    reference.keras.utils.clear_session()
    built = model.build(experiment)
    images = [int(rng.integers(1, 4)), *shape]
    arrays = {"x": rng.uniform(0, 1, images).astype(np.float32), "target": rng.uniform(0, 1, images).astype(np.float32)}
    arrays = {name: array.astype(np.float64) for name, array in arrays.items()}
    arrays |= weights_of(rng, built, experiment)

    def judge(answer):
        return errors(answer, evaluate(built, experiment, arrays))

    return Case(row, index, {"kind": "graph", "toml": toml_text(tree)}, arrays, judge, BAR)


def errors(answer, wanted):
    """By engine and name. Gradients are measured by the norm of all of them where they cancel to nothing."""
    found = {}
    gradients = [array for name, array in wanted.items() if name.endswith((".weight", ".bias"))]
    scale = math.sqrt(sum(float(np.sum(array**2)) for array in gradients))
    engines = {"libtorch", *(name.split()[0] for name in answer)}
    for engine in engines:
        for name, array in wanted.items():
            ours = answer.get(f"{engine} {name}", np.empty(0))
            found[f"{engine} {name}"] = distance(ours, array, scale if name.endswith((".weight", ".bias")) else 1.0)
    return found


def cases(row, count, seed):
    """A third of the count of each kind."""
    return [draw(row, index, seed) for index in range(-(-count // len(KINDS)))]
