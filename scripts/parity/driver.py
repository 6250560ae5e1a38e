"""Runs convae, then its replays, and compares them: one case at a time. Imports no Keras."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from . import bars, checks, compare, config, faults, localise, plot
from .failure import Failure
from .feed import Feed
from .rows import Row
from .runs import Run, read_replay, read_trace

BACKENDS = ("tensorflow", "jax", "torch")
DTYPES = ("float32", "float64", compare.MIXED)
EXACT = "jax"
"""The backend whose float64 is exact."""
LESS_ROUNDED = {"float32": ("float64", bars.MEASURED_STEPS), compare.MIXED: ("float32", None)}
"""In which precision a run is replayed once more, and for how many steps."""
LOG_LINES = 12
"""Last lines of a failed child's log that are shown."""


@dataclass(frozen=True)
class Case:
    """One training to compare."""

    config: Path
    out: Path
    dtype: str = "float32"
    backends: tuple[str, ...] = BACKENDS
    overrides: tuple[str, ...] = ()
    fault: str | None = None
    label: str = ""
    convae: Path = Path("target/debug/convae")
    keep_inputs: bool = False

    @property
    def name(self) -> str:
        return f"{self.label or self.config.stem} {self.dtype}"

    def sets(self) -> list[str]:
        """Keras is made to compute on the CPU, so convae is too, unless the user says otherwise."""
        return ["train.device=cpu", *self.overrides, f"train.dtype={self.dtype}"]


@dataclass
class Compared:
    """What came of a case."""

    case: Case
    rows: list[Row]
    ours: Run
    replays: list[Run]

    def note(self) -> str:
        """Against what, in words."""
        versions = {key: value for run in self.replays for key, value in run.versions.items()}
        note = f"{len(self.ours.losses)} steps; " + ", ".join(f"{k} {v}" for k, v in versions.items())
        if self.case.dtype == "float64":
            note += "; Keras with the float32 that its float64 mode has left lifted (doubles.py)"
        return note


def run(case: Case) -> Compared:
    """From a config to rows; the pictures and arrays stay in the case's folder."""
    experiment = config.read(case.config, case.sets())
    config.refuse_drawing(experiment)
    config.refuse_policies(experiment)
    config.refuse_unknown_loss(experiment)
    case.out.mkdir(parents=True, exist_ok=True)
    trace = train_convae(case)
    ours, feed = read_trace(trace), Feed(experiment, trace)
    rows = checks.check(experiment, ours, feed)
    replays: list[Run] = []
    for backend in case.backends:
        try:
            replays.append(replay(case, backend, trace))
        except ReplayFailure as failure:
            rows.append(Row(f"{backend}: replay", "-", "-", None, f"not available: {failure}"))
    if not replays:
        raise Failure(f"{case.name}: no backend could replay the run; see {case.out}/*/log.txt")
    exact = measured_exactly(case, trace)
    rows += name_the_layer(case, ours, compare.compare(ours, replays, case.dtype, exact))
    plot.draw(case.out / "curves.png", f"convae and Keras, {case.name}", ours, replays, case.dtype)
    if not case.keep_inputs:
        for file in [*trace.glob("*_inputs*.safetensors"), *trace.glob("*_targets*.safetensors")]:
            file.unlink()  # hundreds of MB, and drawn again from the seed
    return Compared(case, rows, ours, replays)


def measured_exactly(case: Case, trace: Path) -> Run | None:
    """The start of a float32 run on Keras in float64, or a whole one in mixed precision in float32, to measure by what
    rounding does to Keras."""
    if EXACT not in case.backends or case.dtype not in LESS_ROUNDED:
        return None
    dtype, steps = LESS_ROUNDED[case.dtype]
    try:
        return replay(case, EXACT, trace, dtype, steps=steps)
    except ReplayFailure as failure:
        say(f"{case.name}: Keras on {EXACT} in {dtype} is not available: {failure}")
        return None


def name_the_layer(case: Case, ours: Run, rows: list[Row]) -> list[Row]:
    """Where step 1 is already off, adds to what the first missed row says which layer parts first."""
    first = next((row for row in rows if row.ok is False), None)
    if first and "of step 1" in first.comparison:
        layer = localise.first_layer_apart(case, ours)
        if layer:
            first.culprit += f"; the first layer that gives another output is {layer}"
        else:
            first.culprit += "; every layer gives the same output"
    return rows


def train_convae(case: Case) -> Path:
    """The trace of a run with this case's settings."""
    trace = case.out / "trace"
    shutil.rmtree(trace, ignore_errors=True)
    arguments = [str(case.convae), "--config", str(case.config), "--out", str(case.out / "run"),
                 "--overwrite", "--trace", str(trace)]
    # A checkpoint that the config starts from may bring an optimizer's state, which Keras's side does not have.
    arguments.append("--fresh")
    sets = case.sets() + faults.overrides_for_convae(case.fault)
    for argument in sets:
        arguments += ["--set", argument]
    started = time.monotonic()
    say(f"{case.name}: convae trains")
    with open(case.out / "convae.log", "w") as log:
        code = subprocess.run(arguments, stdout=log, stderr=subprocess.STDOUT).returncode
    if code:
        raise Failure(f"convae ended with exit code {code}: {_last_line(case.out / 'convae.log')}")
    faults.patch_trace(case.fault, trace)
    say(f"{case.name}: convae took {time.monotonic() - started:.0f} s")
    return trace


class ReplayFailure(Exception):
    """One backend could not do it; the others may."""


def replay(
    case: Case, backend: str, trace: Path, dtype: str | None = None, steps: int | None = None
) -> Run:
    """What a child process with that backend computes from the trace: in the case's precision, all of it,
    unless told otherwise."""
    dtype = dtype or case.dtype
    folder = case.out / (backend if dtype == case.dtype else f"{backend}-{dtype}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    job = {
        "config": str(case.config), "overrides": case.sets(), "trace": str(trace),
        "dtype": dtype, "out": str(folder), "fault": case.fault, "steps": steps,
    }
    (folder / "job.json").write_text(json.dumps(job))
    started = time.monotonic()
    name = f"{case.name}: Keras on {backend}" + ("" if dtype == case.dtype else f" in {dtype}")
    child("parity.replay", str(folder / "job.json"), backend, dtype, folder / "log.txt", name)
    say(f"{name} took {time.monotonic() - started:.0f} s")
    return read_replay(folder)


def child(module: str, argument: str, backend: str, dtype: str, log: Path, name: str) -> None:
    """Runs a module of this package with a Keras backend; its lines are progress."""
    environment = os.environ | {
        "KERAS_BACKEND": backend,
        "JAX_ENABLE_X64": "1" if dtype == "float64" else "0",
        "JAX_PLATFORMS": "cpu",
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
    }
    command = [sys.executable, "-m", module, argument]
    with open(log, "w") as errors:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True)
        for line in process.stdout:
            say(f"{name}: {line.rstrip()}")
    if process.wait():
        raise ReplayFailure(_last_line(log))


def say(text: str) -> None:
    print(f"parity: {text}", file=sys.stderr, flush=True)


def _last_line(log: Path) -> str:
    """The sentence that a traceback or a message of convae's ends in."""
    lines = deque((line.strip() for line in log.open(errors="replace") if line.strip()), LOG_LINES)
    return lines[-1] if lines else "it said nothing"
