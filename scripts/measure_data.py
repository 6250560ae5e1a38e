"""How long training waits for its pictures: many small PNGs, decoded anew in each epoch or kept.

Run as `.venv/bin/python scripts/measure_data.py [--count 20000] [--side 64]` once convae is built;
the figures are convae's own, from timings.json. Makes its images in a temporary folder.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

CONFIG = """
name = "measure"
[data]
kind = "images"
train = "{images}"
test_fraction = 0.05
memory_mb = {memory}
[corruption]
kind = "gaussian"
factor = 0.2
resample = "epoch"
[model]
input_shape = [{side}, {side}, 1]
encoder = [
  {{ layer = "Conv2D", filters = {filters}, kernel_size = 3, padding = "same", activation = "relu" }},
  {{ layer = "MaxPooling2D" }},
  {{ layer = "Conv2D", filters = {filters}, kernel_size = 3, padding = "same", activation = "relu" }},
]
decoder = [
  {{ layer = "Conv2D", filters = {filters}, kernel_size = 3, padding = "same", activation = "relu" }},
  {{ layer = "UpSampling2D" }},
  {{ layer = "Conv2D", filters = 1, kernel_size = 3, padding = "same", activation = "sigmoid" }},
]
[train]
epochs = 2
device = "cpu"
"""
SEED = 20
FOLDERS = 20
"""Images are spread over so many folders, as people's are."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--filters", type=int, default=16)
    parser.add_argument("--convae", type=Path, default=Path("target/debug/convae"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder) / "images", options.count, options.side)
        print(f"{options.count} PNGs of {options.side}x{options.side}, {options.filters} filters a layer")
        for name, memory in (("memory_mb = 0", 0), ("memory_mb = 2048", 2048)):
            measure(Path(folder), options, name, memory)
    return 0


def make(folder: Path, count: int, side: int) -> None:
    """Smooth shapes with grain, which compress about as well as photographs do."""
    random = np.random.default_rng(SEED)
    y, x = np.mgrid[0:side, 0:side] / side
    for number in range(count):
        a, b, c, d = random.uniform(1, 9, 4)
        waves = np.sin(a * x + b * y) + np.sin(c * x - d * y)
        grain = random.normal(0, 6, (side, side))
        values = np.clip(128 + 50 * waves + grain, 0, 255).astype(np.uint8)
        path = folder / f"{number % FOLDERS:02}" / f"{number:06}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(path)


def measure(folder: Path, options: argparse.Namespace, name: str, memory: int) -> None:
    config = folder / "measure.toml"
    config.write_text(
        CONFIG.format(images=folder / "images", memory=memory, side=options.side, filters=options.filters)
    )
    command = [str(options.convae), "--config", str(config), "--out", str(folder / "out"), "--overwrite"]
    started = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    took = time.monotonic() - started
    timings = json.loads((folder / "out/timings.json").read_text())
    shares = ", ".join(f"{100 * epoch['waiting']:.2f} %" for epoch in timings["epochs"])
    rates = ", ".join(f"{epoch['images_per_second']:.0f}" for epoch in timings["epochs"])
    training = sum(epoch["seconds"] for epoch in timings["epochs"])
    print(f"{name}: waits for data {shares} of each epoch; {rates} images/s; "
          f"{took - training:.1f} s before, between and after the epochs")


if __name__ == "__main__":
    sys.exit(main())
