"""Large images through the shipped models of photographs: `convae apply`, which cuts them into tiles, against a call of the
same model in PyTorch and in ONNX Runtime, which take them whole.

Ours is the whole command, from its start to the last file; of the others the call of the model alone is timed.
"""

import json
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from parity import program
from parity.toml_text import toml_text

from .child import Child, Unavailable
from .contestants import Contestant, environment
from .figures import Figure
from .sections import Settings
from .stage import say

MODELS = ("dncnn-small", "unet", "dncnn")
COUNT, WIDTH, HEIGHT, PATCH = 3, 1920, 1080, 64
"""Images, their size, and that of the patches of the one step after which a model is there."""


def measure(settings: Settings) -> Iterator[list[Figure]]:
    """A block for each model."""
    folder = settings.out / "large"
    images = noise(folder / "images")
    for name in MODELS:
        config, checkpoint, exported = trained(name, folder)
        contestants = [contestant for contestant in settings.chosen() if takes_part(contestant)]
        figures = [Figure("large", name, c.name, c.label, "images/s", ours=c.ours) for c in contestants]
        for number in range(settings.rounds):
            say(f"large images, {name}: round {number + 1} of {settings.rounds}")
            for figure, contestant in zip(figures, contestants, strict=True):
                if figure.reason:
                    continue
                try:
                    figure.samples.append(applied(settings, checkpoint, images, folder / "out") if figure.ours
                                          else called(settings, contestant, (config, exported)))
                except Unavailable as reason:
                    figure.samples, figure.reason = [], str(reason)
        yield figures


def takes_part(contestant: Contestant) -> bool:
    return contestant.name == "native" or contestant.module in ("bench.torch_worker", "bench.onnx_worker")


def noise(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(1)
    for number in range(COUNT):
        Image.fromarray(random.integers(0, 256, (HEIGHT, WIDTH), np.uint8)).save(folder / f"{number}.png")
    return folder


def trained(name: str, folder: Path) -> tuple[Path, Path, Path]:
    """Config of the large size, checkpoint after one step on patches, and its export: what the weights are takes no time."""
    tree = tomllib.loads(Path(f"configs/{name}.toml").read_text())
    patches = folder / "patches.npy"
    np.save(patches, np.random.default_rng(1).random((4, PATCH, PATCH, 1), np.float32))
    tree["data"] = {"kind": "npz", "file": str(patches), "test_fraction": 0.5}
    del tree["corruption"]
    small, large = folder / f"{name}.toml", folder / f"{name}-large.toml"
    small.write_text(toml_text(tree))
    tree["model"]["input_shape"] = [HEIGHT, WIDTH, 1]
    large.write_text(toml_text(tree))
    run, exported = folder / name, folder / f"{name}.onnx"
    shutil.rmtree(run, ignore_errors=True)
    exported.unlink(missing_ok=True)
    convae(["--config", small, "--out", run, "--set", "train.epochs=1", "--set", "output.report=false"])
    checkpoint = run / f"{tree['name']}.pt"
    convae(["export", checkpoint, "--out", exported])
    return large, checkpoint, exported


def convae(arguments: list) -> None:
    done = subprocess.run([program.find(), *arguments], capture_output=True, text=True)
    if done.returncode:
        raise Unavailable((done.stderr.strip().splitlines() or ["no words"])[-1])


def applied(settings: Settings, checkpoint: Path, images: Path, out: Path) -> float:
    started = time.perf_counter()
    convae(["apply", "--checkpoint", checkpoint, "--out", out, "--overwrite", "--set", "train.device=cpu",
            "--set", f"train.threads={settings.threads}", images])
    return COUNT / (time.perf_counter() - started)


def called(settings: Settings, contestant: Contestant, files: tuple[Path, Path]) -> float:
    config, exported = files
    job = {"config": str(config), "overrides": [], "threads": settings.threads, "warm_up": 0, "variant": contestant.variant,
           "onnx": str(exported), "count": COUNT, "size": [HEIGHT, WIDTH]}
    child = Child([sys.executable, "-m", "bench.large_worker", json.dumps(job)],
                  environment(settings.threads) | contestant.environment, settings.out / "logs" / f"large-{contestant.name}.log")
    try:
        return child.answer()["images_per_second"]
    finally:
        child.stop()
