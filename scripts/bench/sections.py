"""What is measured with children that take turns: steps, inference, memory, scaling, and the limit."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .child import Child
from .contestants import CELLS, CONTESTANTS, DEFAULT, LIMIT, Cell, Contestant
from .figures import Figure
from .stage import Stage

CALIBRATION = 10
MOST_STEPS = 400
"""Fewer than MNIST has at batch 128: one call of `fit` stays within an epoch."""
TEST_PICTURES = 10_000
LIMIT_MS = 30


@dataclass(frozen=True)
class Settings:
    """How long, with whom, and where."""

    rounds: int
    turn: float
    """Seconds that a turn of training should take."""
    whole_rounds: int
    threads: int
    built: Path
    out: Path
    names: tuple[str, ...]
    sections: tuple[str, ...]

    def chosen(self) -> list[Contestant]:
        return [contestant for contestant in CONTESTANTS if contestant.name in self.names]

    def starter(self, contestant: Contestant, cell: Cell, threads: int) -> Callable[[], Child]:
        return lambda: contestant.start(cell, threads, self.built, self.out / "logs")


def measure_cell(settings: Settings, cell: Cell) -> tuple[list[Figure], dict[str, list[float]]]:
    """Steps; for the default model also inference and memory. And the limit's GFLOP/s."""
    everyone = [*settings.chosen(), LIMIT]
    starters = {c.name: settings.starter(c, cell, settings.threads) for c in everyone}
    with Stage(cell.name, starters) as stage:
        found = {"step": training(settings, stage)}
        limits = [answer for answer in found["step"].pop(LIMIT.name, []) if isinstance(answer, dict)]
        if (cell.model, cell.config) == DEFAULT and "predict" in settings.sections:
            found["predict"] = inference(settings, stage)
        if cell == CELLS[2]:
            found["memory"] = {key: [first["peak_mb"]] for key, first in stage.first.items()
                               if first and first.get("peak_mb")}
    figures = [
        Figure(section, cell.name, c.name, c.label, UNITS[section], samples.get(c.name, []), c.ours,
               stage.reasons.get(c.name, ""))
        for section, samples in found.items()
        for c in settings.chosen()
    ]
    return figures, {name: [answer[name] for answer in limits] for name in (limits[0] if limits else ())}


UNITS = {"step": "ms", "predict": "images/s", "memory": "MB", "scaling": "ms"}


def training(settings: Settings, stage: Stage) -> dict[str, list[Any]]:
    """Milliseconds a step, in turns of about the same length for all."""
    steps = calibrate(settings, stage)

    def turn(key: str, child: Child) -> Any:
        if key == LIMIT.name:
            return child.ask(f"limit {LIMIT_MS}")
        return child.ask(f"train {steps[key]}")["seconds"] / steps[key] * 1e3

    return stage.rounds("training", settings.rounds, turn)


def calibrate(settings: Settings, stage: Stage) -> dict[str, int]:
    """How many steps fill a turn."""
    def turn(key: str, child: Child) -> float:
        return child.ask(f"train {CALIBRATION}")["seconds"] if key != LIMIT.name else 1.0

    seconds = stage.rounds("calibration", 1, turn)
    return {
        key: max(CALIBRATION, min(MOST_STEPS, int(settings.turn / values[0] * CALIBRATION)))
        for key, values in seconds.items()
    }


def inference(settings: Settings, stage: Stage) -> dict[str, list[float]]:
    """Images a second over the test set; the first pass, which compiles, does not count."""
    if LIMIT.name in stage.children:
        stage.children.pop(LIMIT.name).stop()

    def turn(_: str, child: Child) -> float:
        return TEST_PICTURES / child.ask("predict 1")["seconds"]

    stage.rounds("inference, warm-up", 1, turn)
    return stage.rounds("inference", settings.rounds, turn)


def measure_scaling(settings: Settings, cell: Cell) -> list[Figure]:
    """Our engines with one thread and with all."""
    ours = [contestant for contestant in settings.chosen() if contestant.ours]
    runs = [(c, threads) for c in ours for threads in sorted({1, settings.threads})]
    starters = {f"{c.name} {threads}": settings.starter(c, cell, threads) for c, threads in runs}
    with Stage(f"scaling, {cell.name}", starters) as stage:
        samples = training(settings, stage)
    figures, alone = [], 0.0
    for contestant, threads in runs:
        key = f"{contestant.name} {threads}"
        figure = Figure("scaling", cell.name, key, f"{contestant.label}, {threads} thread{'s' * (threads > 1)}",
                        UNITS["scaling"], samples.get(key, []), True, stage.reasons.get(key, ""))
        if figure.samples:
            alone = figure.median if threads == 1 else alone
            figure.ratio = alone / figure.median if alone else None
        figures.append(figure)
    return figures
