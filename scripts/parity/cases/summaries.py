"""Model summaries: layer names, types, output shapes and numbers of weights."""

import json
import tomllib

import numpy as np

from ..config import INPUT, PARTS
from . import layers, reference
from .case import Case, generator
from .probe import ROOT

SHIPPED = sorted(ROOT.glob("configs/*.toml"))
LARGEST = 20_000  # values between two layers of a random model


def keras_layers(config):
    """Keras's layers of a config's `[model]`, with its own names, and its input shape; open sides are a patch's."""
    keras, model = reference.keras, config["model"]
    keras.utils.clear_session()
    patch = config.get("data", {}).get("patches", {}).get("size")
    shape = tuple(patch if side == -1 else side for side in model.get("input_shape", [28, 28, 1]))
    values, before = {INPUT: keras.Input(shape)}, INPUT
    for table in (table for part in PARTS for table in model.get(part, [])):
        layer = reference.build_layer(table)
        read = [values[name] for name in table.get("inputs", [before])]
        before = layer.name
        values[before] = layer(read if len(read) > 1 else read[0])
    return keras.Model(values[INPUT], values[before])


def rows_of(model):
    """What the probe says of a config, from Keras."""
    return [
        {"name": layer.name, "type": type(layer).__name__, "output": list(layer.output.shape[1:]),
         "trainable": count(layer.trainable_variables),
         "moving": count(v for v in layer.non_trainable_variables if "moving" in v.path)}
        for layer in model.layers[1:]]


def count(variables):
    return sum(int(np.prod(variable.shape)) for variable in variables)


def random_model(rng):
    """A model of random layers that fit, closed by Flatten, Dense and Reshape."""
    shape = [int(rng.integers(4, 34)), int(rng.integers(4, 34)), int(rng.choice([1, 3]))]
    tables, current = [], shape
    for _ in range(rng.integers(1, 12)):
        table = fitting(rng, current)
        tables.append(table)
        current = list(reference.output_shape(table, (1, *current))[1:])
    closing = [{"layer": "Flatten"}, {"layer": "Dense", "units": int(np.prod(shape))},
               {"layer": "Reshape", "target_shape": shape}]
    return {"input_shape": shape, "encoder": tables, "decoder": closing}


def fitting(rng, current):
    """A random layer that takes the shape and does not make it too large."""
    while True:
        table, shape = layers.DRAWS[layers.pick(rng, list(layers.DRAWS))](rng)
        if len(shape) - 1 != len(current):
            continue  # it was drawn for a picture, and here is a vector
        if table["layer"] == "Reshape":
            table["target_shape"] = layers.pick(rng, [[-1], [1, -1, current[-1]]])
        try:
            reference.build_layer(table).build((1, *current))
            shape = reference.output_shape(table, (1, *current))[1:]
        except ValueError:
            continue  # Keras refuses it, for instance a window that is larger than the picture
        if min(shape) >= 1 and np.prod(shape) <= LARGEST:
            return table


def toml(value):
    """TOML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + "}"
    return json.dumps(value)


def text_of(model):
    tables = (f"[{', '.join(map(toml, model[part]))}]" for part in ("encoder", "decoder"))
    shape, encoder, decoder = model["input_shape"], *tables
    return f'name = "random"\nmodel = {{input_shape = {shape}, encoder = {encoder}, ' \
           f'decoder = {decoder}}}\n'


def case(row, index, text):
    def judge(rows):
        wanted = rows_of(keras_layers(tomllib.loads(text)))
        wrong = [pair for pair in zip(rows, wanted) if pair[0] != pair[1]]
        name = f"ours {wrong[0][0]}, Keras's {wrong[0][1]}" if wrong else "layers that differ"
        return {name: float(len(wrong) + abs(len(rows) - len(wanted)))}

    return Case(row, index, {"kind": "summary", "toml": text}, {}, judge, 0.0)


def shipped(row, _count, _seed):
    return [case(row, i, path.read_text()) for i, path in enumerate(SHIPPED)]


def drawn(row, count, seed):
    models = (random_model(generator(seed, row, i)) for i in range(max(1, count // 4)))
    return [case(row, i, text_of(model)) for i, model in enumerate(models)]
