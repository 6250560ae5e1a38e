"""The picture: a window of some pages in a row each, a contestant in a column each."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from .contest import Contest
from .pictures import Score

PAGES = (3, 5, 10)
"""Different in size of letters, paper and what is on them."""
HEIGHT, WIDTH = 110, 190
INCHES = 2.35
"""Of a column."""


def draw(path: Path, contest: Contest) -> None:
    """Writes a PNG; the figures are of the whole page."""
    names = [name for name in contest.shown if name != "clean"] + ["clean"]
    rows = [page for page in PAGES if page < len(contest.shown["clean"])]
    size = (INCHES * len(names), len(rows) * (INCHES * HEIGHT / WIDTH + 0.2) + 0.25)
    figure, axes = plt.subplots(len(rows), len(names), figsize=size, squeeze=False, layout="constrained")
    for row, page in enumerate(rows):
        clean = contest.shown["clean"][page]
        for column, name in enumerate(names):
            picture, place = contest.shown[name][page], axes[row][column]
            place.imshow(window(picture), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            place.set_axis_off()
            if row == 0:
                place.set_title(name, fontsize=10, fontweight="bold" if name == "convae" else "normal")
            if name != "clean":
                label = f"{Score.of(picture, clean).psnr:.1f} dB"
                place.text(0.5, -0.02, label, transform=place.transAxes, ha="center", va="top", fontsize=8.5)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def window(picture: np.ndarray) -> np.ndarray:
    """The same place of every page: a little off its middle."""
    top, left = ((side - part) // 3 for side, part in zip(picture.shape, (HEIGHT, WIDTH)))
    return picture[max(top, 0):max(top, 0) + HEIGHT, max(left, 0):max(left, 0) + WIDTH]
