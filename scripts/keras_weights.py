"""Takes trained weights from convae to Keras and back.

    .venv/bin/python scripts/keras_weights.py to-keras runs/noise/noise.pt noise.keras
    .venv/bin/python scripts/keras_weights.py from-keras model.keras model.pt

to-keras writes a model that is compiled with the config's optimizer and loss. from-keras writes a
checkpoint that `convae evaluate` and `convae apply` open without a config, and the config beside it
(model.toml). The model is cut into encoder and decoder after the first layer with the smallest
output; where no layer's is smaller than the image, after the last downsampling; or after the layer
that --code names. Layers get the names that Keras would give them anew.

The keys of a config are asked of the program, which must be built; CONVAE may name it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import tomllib
import warnings
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")  # any would do; this one opens .pt files anyway
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # Keras imports TensorFlow too where it is there

from parity import checkpoint, config, program
from parity.failure import Failure
from parity.toml_text import toml_text


def main(words: list[str] | None = None) -> int:
    arguments = parse(words)
    try:
        arguments.run(arguments)
    except (Failure, OSError) as failure:
        print(f"keras_weights: {failure}", file=sys.stderr)
        return 1
    return 0


def parse(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    there = commands.add_parser("to-keras", help="a checkpoint of convae's as a Keras model")
    there.add_argument("checkpoint", type=Path, help=".pt or .safetensors")
    there.add_argument("out", type=Path, help="a name that ends in .keras")
    there.add_argument("--config", metavar="FILE", help="the model's config, for weights without one")
    there.set_defaults(run=to_keras)
    back = commands.add_parser("from-keras", help="a Keras model as a checkpoint for convae")
    back.add_argument("model", type=Path, help=".keras or .h5")
    back.add_argument("out", type=Path, help="a name that ends in .pt; the config goes to .toml")
    back.add_argument("--code", metavar="LAYER", help="the encoder's last layer, by its name in the model")
    back.set_defaults(run=from_keras)
    return parser.parse_args(words)


def to_keras(arguments: argparse.Namespace) -> None:
    """Builds the config's model in Keras and gives it the weights."""
    _check_out(arguments.out, ".keras")
    saved = checkpoint.read(arguments.checkpoint)
    experiment = config.experiment(tomllib.loads(_config_text(arguments, saved)))
    import keras

    keras.config.set_floatx(experiment.dtype)
    from parity.model import build, compile_model, set_weights

    model = build(experiment)
    compile_model(model, experiment)
    try:
        set_weights(model, experiment, saved.weights)
    except (KeyError, ValueError) as error:
        raise Failure(f"{arguments.checkpoint} is of another model: {error}") from None
    model.optimizer.build(model.trainable_variables)  # else Keras warns when it opens the file
    part = arguments.out.with_name(f"{arguments.out.stem}.part.keras")
    model.save(part)
    part.replace(arguments.out)  # so that a file of this name is always whole
    print(f"{arguments.out}: {model.count_params()} parameters, compiled with {experiment.optimizer} and"
          f" {experiment.loss}")
    for key in config.NOT_REPLAYED:
        if key in experiment.tree.get("train", {}):
            print(f"train.{key} is left out: a Keras model has no place for it")


def from_keras(arguments: argparse.Namespace) -> None:
    """Says the model in convae's words, and has convae itself look at them."""
    import keras

    from parity.from_keras import read

    _check_out(arguments.out, ".pt")
    if not arguments.model.is_file():
        raise Failure(f"there is no model {arguments.model}")
    # The optimizer's state, which Keras may find incomplete, is not taken along.
    warnings.filterwarnings("ignore", message="Skipping variable loading for optimizer")
    try:
        model = keras.saving.load_model(arguments.model)
    except Exception as error:  # Keras raises what it likes for a file that it does not know
        raise Failure(f"Keras cannot open {arguments.model}: {_first_line(error)}") from None
    reading = read(model, arguments.model, arguments.out.stem, arguments.code)
    text = toml_text(reading.tree)
    _have_convae_check(text, arguments.model)
    records = {checkpoint.CONFIG: text, checkpoint.FORMAT: checkpoint.FORMAT_RECORD}
    checkpoint.write(arguments.out, checkpoint.Checkpoint(reading.weights, records))
    arguments.out.with_suffix(".toml").write_text(text)
    parts = reading.tree["model"]
    print(f"{arguments.out} and {arguments.out.with_suffix('.toml')}: {len(parts['encoder'])} layers of encoder,"
          f" {len(parts['decoder'])} of decoder")
    print("\n".join([reading.cut.said, *reading.notes]))


def _have_convae_check(text: str, model: Path) -> None:
    """What convae would refuse, a value beyond its bounds or another shape, is not written."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.toml"
        file.write_text(text)
        done = subprocess.run([program.find(), "summary", "--config", file], capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().replace(str(file), "its config").removeprefix("convae: ")
        raise Failure(f"convae cannot run {model}: {said}")


def _check_out(out: Path, ending: str) -> None:
    """Before Keras is imported, which takes long."""
    if out.suffix != ending:
        raise Failure(f"{out} does not end in {ending}")
    if not out.parent.is_dir() or not os.access(out.parent, os.W_OK):
        raise Failure(f"{out} cannot be written; name a file in a folder that is there and that you may write to")


def _config_text(arguments: argparse.Namespace, saved: checkpoint.Checkpoint) -> str:
    if arguments.config:
        return config.find(arguments.config).read_text()
    if checkpoint.CONFIG in saved.records:
        return saved.records[checkpoint.CONFIG]
    raise Failure(f"{arguments.checkpoint} does not say what model it holds; name its config with --config")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


if __name__ == "__main__":
    sys.exit(main())
