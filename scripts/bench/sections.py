"""What is measured with children that take turns: steps, inference, memory, scaling, and the limit."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .child import Child
from .contestants import CONTESTANTS, LIMIT, Cell, Contestant
from .figures import Figure
from .stage import Stage

MOST_STEPS = 400
LIMIT_MS = 30
IDLE = frozenset(contestant.name for contestant in CONTESTANTS if not contestant.trains)
"""In training."""


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

    def contestants(self, cell: Cell) -> list[Contestant]:
        """Of a cell: what our native engine does not compute is measured of the other one."""
        names = {"libtorch" if cell.rounds and name == "native" else name for name in self.names}
        return [c for c in CONTESTANTS if c.name in names and (c.trains or self.infers(cell))]

    def infers(self, cell: Cell) -> bool:
        return "predict" in cell.sections and ("predict" in self.sections or cell.alone)

    def starter(self, contestant: Contestant, cell: Cell, threads: int) -> Callable[[], Child]:
        return lambda: contestant.start(cell, threads, self.built, self.out / "logs")


def measure_cell(settings: Settings, cell: Cell) -> tuple[list[Figure], dict[str, list[float]]]:
    """Of the cell's sections those that are asked for. And the limit's GFLOP/s."""
    contestants = settings.contestants(cell)
    everyone = [*contestants, LIMIT]
    starters = {c.name: settings.starter(c, cell, settings.threads) for c in everyone}
    with Stage(cell.name, starters) as stage:
        found = {"step": training(settings, cell, stage)}
        limits = [answer for answer in found["step"].pop(LIMIT.name, []) if isinstance(answer, dict)]
        if settings.infers(cell):
            found["predict"] = inference(settings, cell, stage)
        if "memory" in cell.sections:
            found["memory"] = {key: [first["peak_mb"]] for key, first in stage.first.items()
                               if first and first.get("peak_mb")}
    figures = [
        Figure(section, cell.name, c.name, c.label, UNITS[section], samples.get(c.name, []), c.ours,
               stage.reasons.get(c.name, ""))
        for section, samples in found.items()
        for c in contestants if c.trains or section == "predict"
    ]
    return figures, {name: [answer[name] for answer in limits] for name in (limits[0] if limits else ())}


UNITS = {"step": "ms", "predict": "images/s", "memory": "MB", "scaling": "ms"}


def training(settings: Settings, cell: Cell, stage: Stage) -> dict[str, list[Any]]:
    """Milliseconds a step, in turns of about the same length for all."""
    steps = calibrate(settings, cell, stage)

    def turn(key: str, child: Child) -> Any:
        if key == LIMIT.name:
            return child.ask(f"limit {LIMIT_MS}")
        return child.ask(f"train {steps[key]}")["seconds"] / steps[key] * 1e3

    return stage.rounds("training", settings.rounds, turn, IDLE)


def calibrate(settings: Settings, cell: Cell, stage: Stage) -> dict[str, int]:
    """How many steps fill a turn; one call of Keras's `fit` stays within an epoch."""
    tried = max(1, cell.warm_up // 2)
    most = min(MOST_STEPS, cell.train_pictures // cell.batch - 1)

    def turn(key: str, child: Child) -> float:
        return child.ask(f"train {tried}")["seconds"] if key != LIMIT.name else 1.0

    seconds = stage.rounds("calibration", 1, turn, IDLE)
    return {
        key: max(tried, min(most, int(settings.turn / values[0] * tried))) for key, values in seconds.items()
    }


def inference(settings: Settings, cell: Cell, stage: Stage) -> dict[str, list[float]]:
    """Images a second over the test set; the first pass, which compiles, does not count."""
    if LIMIT.name in stage.children:
        stage.children.pop(LIMIT.name).stop()

    def turn(_: str, child: Child) -> float:
        return cell.test_pictures / child.ask("predict 1")["seconds"]

    stage.rounds("inference, warm-up", 1, turn)
    return stage.rounds("inference", settings.rounds, turn)


def measure_scaling(settings: Settings, cell: Cell) -> list[Figure]:
    """Our engines with one thread and with all."""
    ours = [contestant for contestant in settings.chosen() if contestant.ours]
    runs = [(c, threads) for c in ours for threads in sorted({1, settings.threads})]
    starters = {f"{c.name} {threads}": settings.starter(c, cell, threads) for c, threads in runs}
    with Stage(f"scaling, {cell.name}", starters) as stage:
        samples = training(settings, cell, stage)
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
