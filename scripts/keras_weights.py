"""Takes trained weights from convae to Keras. The way back is `convae import`.

    .venv/bin/python scripts/keras_weights.py to-keras runs/noise/noise.pt noise.keras

It writes a model that is compiled with the config's optimizer and loss.

The keys of a config are asked of the program, which must be built; CONVAE may name it.
"""

import argparse
import os
import sys
import tomllib
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")  # any would do; this one opens .pt files anyway
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # Keras imports TensorFlow too where it is there

from parity import checkpoint, config
from parity.failure import Failure


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


if __name__ == "__main__":
    sys.exit(main())
