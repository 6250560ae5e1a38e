"""Ten training steps of models in Keras's own files, here and in Keras: run by hand.

    PYTHONPATH=scripts .venv/bin/python -m parity.zoo_steps FILE-OR-FOLDER...     # --steps N, --images N

Each file goes through `convae import`; what it gives trains from the file's weights with its compiled optimizer and
loss, in float64, with layers that draw random numbers off. Beside it Keras on JAX opens the same file and trains on
the same images. Where Keras does not open it, it builds the imported config instead, which is said; a loss that is
not ours is replaced on both sides. Prints a table and exits with 1 where a loss, the weights after the last step or the
outputs before the first one are further apart than the bar.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import tomllib
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

os.environ.setdefault("XLA_FLAGS", "")  # a model computes for longer than it compiles
from .cases import reference  # before keras, whose backend and precision it settles
from . import checkpoint, config, layouts, model, program
from .cases import probe
from .cases.case import Case
from .compare import relative, weight_distances
from .failure import Failure
from .toml_text import toml_text

keras = reference.keras
BAR = 1e-9
OUTPUTS_BAR = 1e-12
OPEN = 32
"""Length of a side that is open."""
DRAWING = config.DRAWING_LAYERS


def main() -> int:
    arguments = parse()
    program.use(arguments.convae or program.find())
    warnings.filterwarnings("ignore")
    asked = arguments.probe or probe.build()
    print(f"Keras {keras.__version__} on {reference.BACKEND}, float64, {arguments.steps} steps, bar {BAR:g}")
    missed = False
    for file in files(arguments.files):
        try:
            said, apart = compare(file, asked, arguments)
            missed |= not apart <= BAR
        except Failure as failure:
            said = f"not compared: {failure}"
        except Exception as error:  # one file that Keras or the probe stumbles over keeps no other from its row
            said, missed = f"not compared: {type(error).__name__}: {str(error)[:150]}", True
        print(f"{file.name:36} {said}", flush=True)
        keras.utils.clear_session()
    return 1 if missed else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m parity.zoo_steps", description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE-OR-FOLDER")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--images", type=int, default=2, help="of each step")
    parser.add_argument("--loss", default="mean_squared_error", help="where the file's is not ours")
    parser.add_argument("--engine", default="auto", help="train.engine")
    parser.add_argument("--convae", type=Path)
    parser.add_argument("--probe", help="a built parity_probe; else cargo builds it")
    return parser.parse_args()


def files(named: list[Path]) -> list[Path]:
    """Folders by what they hold."""
    found = [sorted(path.iterdir()) if path.is_dir() else [path] for path in named]
    return [file for each in found for file in each if file.suffix in (".keras", ".h5", ".hdf5")]


def compare(file: Path, asked: str, arguments: argparse.Namespace) -> tuple[str, float]:
    """What is to be said of a file, and how far the two sides are apart."""
    with tempfile.TemporaryDirectory() as folder:
        tree = imported(file, Path(folder), arguments)
        experiment = config.experiment(tree)
        theirs, whose = keras_model(file, experiment)
        if "with its state" not in whose:
            forget_state(tree["model"]["weights"])
        arrays, outputs = images(theirs, experiment, arguments)
        question = {"kind": "steps", "toml": toml_text(tree)}
        try:
            ours = probe.ask([Case("steps", 0, question, arrays, dict, BAR)], asked)["steps #0"]
        except RuntimeError as error:
            raise Failure(str(error)) from None
    predicted = float(np.abs(ours.pop("output") - outputs).max() / np.abs(outputs).max())
    losses = trained(theirs, arrays)
    weights = values_of(theirs, experiment)
    apart = float(relative(ours.pop("losses"), losses).max())
    distances = weight_distances(ours, weights, BAR)
    name, worst = max(distances.items(), key=lambda item: np.inf if np.isnan(item[1]) else item[1])
    said = f"outputs {predicted:.1e}, losses {apart:.1e}, weights {worst:.1e} ({name}), {experiment.optimizer}, "
    said += f"{experiment.loss}, {whose}"
    apart = max(apart, worst, predicted * BAR / OUTPUTS_BAR)
    return said, apart if np.isfinite(apart) else np.inf


def imported(file: Path, folder: Path, arguments: argparse.Namespace) -> dict:
    """The config of a file, made to train as is compared."""
    command = [str(program.find()), "import", str(file), "--out", str(folder), "--name", "model"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Failure((done.stderr.strip().splitlines() or ["import said nothing"])[-1][:200])
    tree = tomllib.loads((folder / "model.toml").read_text())
    chosen = tree["model"]
    chosen["weights"] = str(folder / "model.pt")
    training = tree.setdefault("train", {})
    training.update(dtype="float64", device="cpu", engine=arguments.engine)
    if training.get("loss") == "unknown":
        training["loss"] = arguments.loss
    for entries in (chosen.get(key, []) for key in config.PARTS):
        for entry in entries:
            if entry["layer"] in DRAWING:
                entry[DRAWING[entry["layer"]]] = 0.0
    if -1 in chosen["input_shape"]:
        size = [OPEN if side == -1 else side for side in chosen["input_shape"][:2]]
        tree["data"] = {"kind": "images", "train": "none", "test": "none", "patches": {"size": size}}
    return tree


def keras_model(file: Path, experiment: config.Experiment) -> tuple[keras.Model, str]:
    """The file's model in float64, compiled; where Keras does not open it, the config's."""
    try:
        opened = opened_by_keras(file)
        doubled = in_float64(opened)
        by_name(doubled, experiment)
    except Exception as error:  # whatever Keras raises for a file that it does not know
        built = model.build(experiment)
        model.compile_model(built, experiment)
        weights = _checkpoint(experiment)
        model.set_weights(built, experiment, weights)
        return built, f"Keras builds the config ({type(error).__name__})"
    if getattr(opened, "optimizer", None) is None or not opened.loss:
        model.compile_model(doubled, experiment)
        return doubled, "the file's model, compiled by the config"
    doubled.compile(optimizer=optimizer_of(opened, doubled), loss=opened.loss)
    state = "with its state" if int(doubled.optimizer.iterations) else "anew"
    return doubled, f"the file's model, compiled by the file, {state}"


def opened_by_keras(file: Path) -> keras.Model:
    """Without what it is compiled with, where Keras does not read that: `'mse'` in a .h5 file, for one."""
    try:
        return keras.saving.load_model(file)
    except (TypeError, ValueError):
        return keras.saving.load_model(file, compile=False)


def _checkpoint(experiment: config.Experiment) -> dict[str, np.ndarray]:
    return of_layers(checkpoint.read(Path(experiment.tree["model"]["weights"])).weights)


def of_layers(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Without the state of an optimizer."""
    return {name: array for name, array in weights.items() if name.split(".")[0] in config.PARTS.values()}


def forget_state(named: str) -> None:
    """Keras did not read the optimizer's state, so nobody starts from it."""
    held = checkpoint.read(Path(named))
    checkpoint.write(Path(named), replace(held, weights=of_layers(held.weights)))


def in_float64(opened: keras.Model) -> keras.Model:
    """The same model and weights."""
    written = quiet(keras.saving.serialize_keras_object(opened))
    written.pop("compile_config", None)
    doubled = keras.saving.deserialize_keras_object(written)
    doubled.set_weights(opened.get_weights())
    return doubled


def quiet(written):
    """An object's description with float64 for float32, and nothing drawn at random."""
    if isinstance(written, list):
        return [quiet(item) for item in written]
    if not isinstance(written, dict):
        return "float64" if written == "float32" else written
    changed = {key: quiet(value) for key, value in written.items()}
    if key := DRAWING.get(changed.get("class_name")):
        changed["config"][key] = 0.0
    return changed


def optimizer_of(opened: keras.Model, doubled: keras.Model) -> keras.optimizers.Optimizer:
    """The file's, with its state where Keras reads all of that: of a .h5 of Keras 2 it takes the count of steps alone.
    Keras keeps a rate as the float32 next to it."""
    written = keras.saving.serialize_keras_object(opened.optimizer)
    rate = written["config"].get("learning_rate")
    if isinstance(rate, float):
        written["config"]["learning_rate"] = float(str(np.float32(rate)))
    optimizer = keras.saving.deserialize_keras_object(written)
    optimizer.build(doubled.trainable_variables)
    held = opened.optimizer.variables
    if opened.optimizer.built and len(held) == len(optimizer.variables):
        for variable, value in zip(optimizer.variables, held):
            if "learning_rate" not in variable.path:
                variable.assign(value)
    return optimizer


def by_name(theirs: keras.Model, experiment: config.Experiment) -> dict[str, keras.layers.Layer]:
    """Keras's layer of each entry that has weights: of its name, else of its place among those with weights."""
    ours = [layer for layer in experiment.layers if not layer.shares and layouts.names_of(layer.kind)]
    held = [layer for layer in theirs._flatten_layers() if type(layer).__name__ in {each.kind for each in ours}]
    names = {layer.name: layer for layer in held}
    if all(layer.name in names and type(names[layer.name]).__name__ == layer.kind for layer in ours):
        return {layer.name: names[layer.name] for layer in ours}
    if [type(layer).__name__ for layer in held] != [layer.kind for layer in ours]:
        raise Failure("the layers of the file are not those of the config")
    return {layer.name: other for layer, other in zip(ours, held)}


def values_of(theirs: keras.Model, experiment: config.Experiment) -> dict[str, np.ndarray]:
    """Keras's weights under their names in a checkpoint."""
    layers = by_name(theirs, experiment)
    return {
        f"{layer.part}.{layer.name}.{suffix}":
            layouts.to_torch(layer.kind, suffix, keras.ops.convert_to_numpy(variable.value))
        for layer in experiment.layers if layer.name in layers
        for suffix, variable in layouts.variables_of(layer.kind, layers[layer.name]).items()
    }


def images(
    theirs: keras.Model, experiment: config.Experiment, arguments: argparse.Namespace
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Of each step, with targets of the output's shape, or the numbers of classes; and Keras's outputs of the first ones."""
    draw = np.random.default_rng(5)
    many = (arguments.steps, arguments.images, *(side or OPEN for side in experiment.input_shape))
    x = draw.random(many, np.float32).astype(np.float64)
    output = keras.ops.convert_to_numpy(theirs(x[0], training=False))
    if "sparse" in str(experiment.loss):
        target = draw.integers(0, output.shape[-1], (arguments.steps, *output.shape[:-1], 1)).astype(np.float64)
    else:
        target = draw.random((arguments.steps, *output.shape), np.float32).astype(np.float64)
    return {"x": x, "target": target}, output


def trained(theirs: keras.Model, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """The loss of each step of Keras's `fit`."""
    losses = []
    for x, target in zip(arrays["x"], arrays["target"]):
        history = theirs.fit(x, target, batch_size=len(x), shuffle=False, verbose=0)
        losses.append(history.history["loss"][0])
    return np.asarray(losses)


if __name__ == "__main__":
    sys.exit(main())
