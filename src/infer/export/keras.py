"""Writes models as Keras files: python keras.py JOBS.json, where JOBS.json is a list of models.

convae runs this, since only Keras itself writes its files; nothing but Keras and NumPy is needed.
Exit code 3 says that there is no Keras.
"""

import importlib.util
import json
import os
import sys

NO_KERAS = 3
BACKENDS = ("tensorflow", "jax", "torch")


def main() -> int:
    with open(sys.argv[1]) as file:
        jobs = json.load(file)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if "KERAS_BACKEND" not in os.environ:
        there = [name for name in BACKENDS if importlib.util.find_spec(name)]
        os.environ["KERAS_BACKEND"] = (there or BACKENDS)[0]
    if any(job["dtype"] == "float64" for job in jobs):
        os.environ["KERAS_FLOATX"] = "float64"  # else JAX has no such type
    try:
        import keras
    except ImportError as error:
        print(error, file=sys.stderr)
        return NO_KERAS
    for job in jobs:
        build(keras, job).save(job["out"])
    return 0


def build(keras, job):
    """The model with its weights."""
    import numpy

    inputs = keras.Input(job["input_shape"], dtype=job["dtype"], name="input")
    values, made_before = {"input": inputs}, {}
    for layer in job["layers"]:
        options = {key: tuples(value) for key, value in layer["options"].items()}
        made = made_before.get(layer["shares"]) or getattr(keras.layers, layer["class"])(
            name=layer["name"], dtype=job["dtype"], **options
        )
        made_before[layer["name"]] = made
        read = [values[name] for name in layer["inputs"]]
        values[layer["name"]] = made(read[0] if len(read) == 1 else read)
        for weight in layer["weights"]:
            # keras.transpose(keras_axes) has PyTorch's layout; this is the way back.
            array = numpy.load(weight["file"]).transpose(numpy.argsort(weight["keras_axes"]))
            getattr(made, weight["name"]).assign(array)
    return keras.Model(inputs, values[job["output"]], name=job["name"])


def tuples(value):
    """Keras tells pairs from lists by their being tuples."""
    return tuple(map(tuples, value)) if isinstance(value, list) else value


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # backends may hang on the way out
