"""A measured figure with its spread."""

from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any


@dataclass
class Figure:
    """What one contestant reached in one cell; without samples it was not available."""

    section: str
    cell: str
    name: str
    label: str
    unit: str
    samples: list[float] = field(default_factory=list)
    ours: bool = False
    reason: str = ""
    """Why there are no samples."""
    ratio: float | None = None
    """Against ours in the same cell: above 1, ours is better; in `scaling`, the speed-up by threads."""
    of_limit: float | None = None
    """The part of the arithmetic limit's speed that is reached."""

    @property
    def median(self) -> float:
        return median(self.samples)

    def json(self) -> dict[str, Any]:
        if not self.samples:
            return asdict(self)
        return asdict(self) | {"median": self.median, "min": min(self.samples), "max": max(self.samples)}


FASTER_IS_MORE = {"images/s"}


def groups(figures: list[Figure]) -> dict[tuple[str, str], list[Figure]]:
    """By section and cell, in the order of measuring."""
    found: dict[tuple[str, str], list[Figure]] = {}
    for figure in figures:
        found.setdefault((figure.section, figure.cell), []).append(figure)
    return found


def compare(figures: list[Figure]) -> None:
    """Fills in the ratios: to our first figure in the cell, which is the native engine's if it runs."""
    for (section, _), group in groups(figures).items():
        ours = next((figure for figure in group if figure.ours and figure.samples), None)
        for figure in group:
            if ours is None or not figure.samples or section == "scaling":
                continue
            ratio = figure.median / ours.median
            figure.ratio = 1 / ratio if figure.unit in FASTER_IS_MORE else ratio
