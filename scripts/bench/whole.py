"""A whole run, from the command to its exit: start-up, data, one epoch, validation, files."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from .child import Unavailable, last_line
from .contestants import cores, environment
from .figures import Figure
from .sections import Settings
from .stage import say

CELL = "one epoch of plain.toml"


@dataclass(frozen=True)
class Run:
    """One of the commands that alternate."""

    name: str
    label: str
    command: list[str]
    ours: bool


def runs(settings: Settings, scratch: Path) -> list[Run]:
    """Ours as the README says it, the same without cargo, and the tutorial's script."""
    arguments = ["--config", "configs/plain.toml", "--out", str(scratch / "convae"), "--overwrite"]
    found = []
    if {"native", "libtorch"} & set(settings.names):
        found += [
            Run("cargo-run", "cargo run -- --config plain.toml", ["cargo", "run", "--locked", "--", *arguments], True),
            Run("convae", "the same, without cargo", [str(settings.built / "convae"), *arguments], True),
        ]
    if "keras-tensorflow" in settings.names:
        script = Path(__file__).with_name("tutorial.py")
        command = [sys.executable, str(script), str(scratch / "tutorial")]
        found.append(Run("tutorial", "the tutorial's script, Keras on TensorFlow", command, False))
    return found


def measure(settings: Settings) -> list[Figure]:
    scratch = settings.out / "scratch"
    figures = [
        Figure("whole", CELL, run.name, run.label, "s", ours=run.ours) for run in runs(settings, scratch)
    ]
    for number in range(settings.whole_rounds):
        for run, figure in zip(runs(settings, scratch), figures, strict=True):
            if figure.reason:
                continue
            say(f"whole run: {run.label}, round {number + 1} of {settings.whole_rounds}")
            try:
                figure.samples.append(seconds_of(run, settings.out / "logs" / f"whole-{run.name}.log"))
            except Unavailable as reason:
                say(f"whole run: {run.label} is not available: {reason}")
                figure.samples, figure.reason = [], str(reason)
    shutil.rmtree(scratch, ignore_errors=True)
    return figures


def seconds_of(run: Run, log: Path) -> float:
    log.parent.mkdir(parents=True, exist_ok=True)
    surroundings = os.environ | environment(cores()) | {"KERAS_BACKEND": "tensorflow"}
    with open(log, "w") as output:
        started = time.perf_counter()
        try:
            code = subprocess.run(run.command, env=surroundings, stdout=output, stderr=subprocess.STDOUT).returncode
        except OSError as error:
            raise Unavailable(str(error)) from None
        seconds = time.perf_counter() - started
    if code:
        raise Unavailable(f"exit code {code}: {last_line(log)}")
    return seconds
