"""The other end of `child`: what the Python contestants share. Imports neither Keras nor PyTorch."""

import gc
import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from parity import config, idx

def job() -> dict[str, Any]:
    """What the parent asks for: config, overrides, threads, variant, steps to warm up."""
    return json.loads(sys.argv[1])


def experiment(asked: dict[str, Any]) -> config.Experiment:
    return config.read(Path(asked["config"]), asked["overrides"])


def pictures(settings: config.Experiment, split: str) -> np.ndarray:
    """All of a split as float32, in the model's shape, in memory before any clock starts; scaled in place, for its peak
    counts."""
    if settings.data_kind == "npz":
        return np.load(settings.tree["data"]["file"])[f"x_{split}"]
    values = idx.clean_bytes(settings.data_dir, split, None).astype(np.float32)
    values /= 255
    return values.reshape(len(values), *settings.input_shape)


def channels_first(pictures: np.ndarray) -> np.ndarray:
    """`(N, H, W, C)` as `(N, C, H, W)`; vectors as they are."""
    return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)) if pictures.ndim == 4 else pictures


def serve(commands: dict[str, Callable[[int], dict[str, Any]]], first: dict[str, Any]) -> None:
    """Answers until `quit` or the end of the input. What libraries print goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    print(json.dumps(first), file=answers)
    for line in sys.stdin:
        name, *number = line.split()
        if name == "quit":
            break
        gc.collect()  # what the last turn left behind is not this one's to clear away
        print(json.dumps(commands[name](*map(int, number))), file=answers)
    # TensorFlow's threads have been seen to hang at exit.
    os._exit(0)


def peak_mb() -> float:
    """Most memory that this process ever held."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # macOS counts bytes
