"""The shipped models of photographs on patches of 64x64: what a step takes does not hang on what is in them. And of
digits a model with strides and BatchNormalization, and one without convolutions."""

import tomllib
from pathlib import Path

import numpy as np

from parity.toml_text import toml_text

from .contestants import Cell

SIDE, TRAIN, TEST = 64, 2048, 64
BATCHES = {"dncnn-small": (4, 16, 64), "unet": (4, 16), "dncnn": (4, 16)}
DTYPES = ("float32", "mixed_bfloat16")
WHOLE_BATCH = 16
"""At which all is measured: both precisions, inference and memory."""
WARM_UP = 4
"""Steps: one of dncnn at batch 16 takes seconds."""


def cells(out: Path) -> list[Cell]:
    """Their configs and patches lie in `out`."""
    out.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(1)
    file = out / "patches.npz"
    np.savez(file, **{f"x_{split}": random.random((count, SIDE, SIDE, 1), np.float32)
                      for split, count in (("train", TRAIN), ("test", TEST))})
    of_patches = [
        cell(name, batch, out, file, dtype)
        for name, batches in BATCHES.items() for batch in batches
        for dtype in (DTYPES if batch == WHOLE_BATCH else DTYPES[:1])
    ]
    of_digits = [("strided", "scripts/bench/configs/strided.toml", batch) for batch in (32, 128)]
    of_digits.append(("blog-deep", "configs/blog-deep.toml", 256))
    return [*of_patches, *(Cell(*model, ("step", "predict"), alone=True) for model in of_digits)]


def cell(name: str, batch: int, out: Path, file: Path, dtype: str) -> Cell:
    tree = tomllib.loads(Path(f"configs/{name}.toml").read_text())
    tree["model"]["input_shape"] = [SIDE, SIDE, 1]
    tree["data"] = {"kind": "npz", "file": str(file)}
    del tree["corruption"]
    config = out / f"{name}.toml"
    config.write_text(toml_text(tree))
    sections = ("step", "predict", "memory") if batch == WHOLE_BATCH else ("step",)
    return Cell(name, str(config), batch, sections, TRAIN, TEST, WARM_UP, alone=True, dtype=dtype)
