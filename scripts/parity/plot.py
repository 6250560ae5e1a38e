"""The picture of one comparison: losses above, their relative differences below."""

from itertools import combinations
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from .compare import relative
from .runs import Run

COLOURS = {"jax": "#1b9e77", "tensorflow": "#e6820e", "torch": "#7570b3"}
OURS, GREY = "#1f2a44", "#b9bdc6"
SMALLEST = {"float32": 1e-9, "float64": 1e-17, "mixed_bfloat16": 1e-6}
"""Differences of 0 are drawn here: a log axis has no 0."""


def draw(path: Path, title: str, ours: Run, replays: list[Run], dtype: str) -> None:
    """Writes a PNG."""
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(9, 7), sharex=True, height_ratios=(1, 1), layout="constrained"
    )
    _losses(above, ours, replays)
    _differences(below, ours, replays, dtype)
    above.set_title(title, loc="left", fontsize=12, fontweight="bold")
    below.set_xlabel("step")
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.margins(x=0.01)
    figure.savefig(path, dpi=140)
    plt.close(figure)


def _losses(axes: plt.Axes, ours: Run, replays: list[Run]) -> None:
    """Ours wide below, the backends narrow above it, so that all of them can be seen."""
    steps = np.arange(1, len(ours.losses) + 1)
    axes.plot(steps, ours.losses, color=OURS, alpha=0.35, linewidth=5, label="convae", solid_capstyle="round")
    dashes = [(0, (4, 8)), (4, (4, 8)), (8, (4, 8))]
    for replay, dash in zip(replays, dashes):
        axes.plot(steps, replay.losses, color=COLOURS[replay.name], linewidth=1.3,
                  linestyle=dash, label=f"Keras on {replay.name}")
    axes.set_ylabel("loss of the step")
    axes.legend(frameon=False, handlelength=4)


def _differences(axes: plt.Axes, ours: Run, replays: list[Run], dtype: str) -> None:
    steps, floor = np.arange(1, len(ours.losses) + 1), SMALLEST[dtype]
    for a, b in combinations(replays, 2):
        axes.plot(steps, np.maximum(relative(a.losses, b.losses), floor), color=GREY, linewidth=1.0,
                  label=f"Keras on {a.name} from itself on {b.name}")
    for replay in replays:
        axes.plot(steps, np.maximum(relative(ours.losses, replay.losses), floor),
                  color=COLOURS[replay.name], linewidth=1.0, alpha=0.85, label=f"convae from Keras on {replay.name}")
    axes.set_yscale("log")
    axes.set_ylabel("relative difference")
    # Above the curves: they fill the panel from corner to corner.
    axes.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
