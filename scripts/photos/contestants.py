"""What takes part: shipped configs of convae, and what people use without learning."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile

from parity.failure import Failure
from show.ours import run

from .protocol import Noisy
from .table import Row


@dataclass(frozen=True)
class Method:
    """A shipped config: trained, then applied to files as a user would."""

    config: str
    learned_from: str
    clean: bool
    """Whether it sees the clean training images, under noise of its own."""

    def compete(self, noisy: Noisy, binary: Path, overrides: list[str], retrain: bool) -> list[Row]:
        folder = noisy.out / self.config
        self.train(noisy, binary, folder, overrides, retrain)
        minutes = training_minutes(folder)
        rows = []
        for augment in (1, 8):
            outputs, seconds = self.apply(noisy, binary, folder, augment)
            name = f"convae, {self.config}.toml" + (f", --augment {augment}" if augment > 1 else "")
            rows.append(Row(noisy.sigma, name, self.learned_from, noisy.psnr(outputs), minutes, seconds))
        return rows

    def train(self, noisy: Noisy, binary: Path, folder: Path, overrides: list[str], retrain: bool) -> None:
        command = [str(binary), "--config", f"configs/{self.config}.toml", "--out", str(folder)]
        for override in (*self.data(noisy), *overrides):
            command += ["--set", override]
        train(command, folder, retrain)

    def data(self, noisy: Noisy) -> list[str]:
        if self.clean:
            folders = [f"data.{key}={noisy.photos.folder / part}" for key, part in PARTS]
            return [*folders, f"corruption.factor={noisy.level:.6f}", 'data.scale="unit"']
        folders = [f"data.{key}={noisy.folder(part)}" for key, part in PARTS]
        return [*folders, 'data.scale="unit"']

    def apply(self, noisy: Noisy, binary: Path, folder: Path, augment: int) -> tuple[list[np.ndarray], float]:
        """The outputs for BSD68, and seconds an image."""
        return denoised(noisy, binary, folder / f"{self.config}.pt", folder / f"bsd68-{augment}", augment)


def train(command: list[str], folder: Path, retrain: bool) -> None:
    """Runs a training into the folder, unless it holds a finished run of the same command."""
    settings = folder.with_suffix(".settings")
    same = settings.exists() and settings.read_text() == "\n".join(command)
    if not same and not retrain and folder.exists():
        raise Failure(f"{folder} holds a run with other settings; give --retrain, or another --out")
    if same and not retrain and finished(folder):
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text("\n".join(command))
    # What was cut short goes on.
    go_on = same and not retrain and folder.exists()
    run([*command, "--resume" if go_on else "--overwrite"], folder.with_suffix(".log"))


def training_minutes(folder: Path) -> float:
    timings = json.loads((folder / "timings.json").read_text())
    return sum(epoch["seconds"] for epoch in timings["epochs"]) / 60


def denoised(
    noisy: Noisy, binary: Path, checkpoint: Path, outputs: Path, augment: int = 1
) -> tuple[list[np.ndarray], float]:
    """What the model makes of the judged images, and seconds an image."""
    images = noisy.folder(noisy.photos.judged)
    command = [str(binary), "apply", "--checkpoint", str(checkpoint), "--augment", str(augment)]
    done = run([*command, "--out", str(outputs), "--overwrite", str(images)], outputs.with_suffix(".log"))
    files = [outputs / f"{file.stem}.tif" for file in noisy.photos.files(noisy.photos.judged)]
    missing = [file for file in files if not file.exists()]
    if missing:
        raise Failure(f"{missing[0]} was not written; see {outputs}.log")
    return [tifffile.imread(file) for file in files], done.seconds / len(files)


def finished(folder: Path) -> bool:
    history = folder / "history.json"
    return history.exists() and not json.loads(history.read_text())["interrupted"]


PARTS = (("train", "train400"), ("test", "set12"))

METHODS = {
    "dncnn-small": Method("dncnn-small", "clean images", clean=True),
    "noise2void": Method("noise2void", "noisy images alone", clean=False),
    "neighbor2neighbor": Method("neighbor2neighbor", "noisy images alone", clean=False),
}


@dataclass(frozen=True)
class Rival:
    """Learns nothing, and is told the noise's strength."""

    name: str
    run: Callable[[np.ndarray, float], np.ndarray]

    def compete(self, noisy: Noisy) -> Row:
        images = noisy.images()
        started = time.perf_counter()
        outputs = [self.run(image, noisy.level) for image in images]
        seconds = (time.perf_counter() - started) / len(images)
        return Row(noisy.sigma, self.name, "nothing", noisy.psnr(outputs), None, seconds)


def bm3d(image: np.ndarray, level: float) -> np.ndarray:
    from bm3d import bm3d as run

    return run(image, sigma_psd=level)


def non_local_means(image: np.ndarray, level: float, strength: float = 0.6) -> np.ndarray:
    """Strength and sides chosen on ten training images, which were grey."""
    from skimage.restoration import denoise_nl_means

    channels = -1 if image.ndim == 3 else None
    return denoise_nl_means(
        image, patch_size=5, patch_distance=10, h=strength * level, sigma=level, fast_mode=True, channel_axis=channels
    )


def total_variation(image: np.ndarray, level: float) -> np.ndarray:
    """Weight chosen on ten training images."""
    from skimage.restoration import denoise_tv_chambolle

    return denoise_tv_chambolle(image, weight=0.8 * level, eps=1e-5, max_num_iter=500)


RIVALS = {
    "bm3d": Rival("BM3D", bm3d),
    "nlm": Rival("non-local means (scikit-image)", non_local_means),
    "tv": Rival("total variation (scikit-image)", total_variation),
}
