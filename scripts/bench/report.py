"""The table that a person reads, the same as Markdown, and all samples as JSON."""

import json
from pathlib import Path
from statistics import median

from . import machine
from .figures import Figure, compare, groups

TITLES = {
    "step": "training step", "predict": "inference", "whole": "whole run",
    "scaling": "threads", "memory": "peak memory in training", "large": "images of 1920x1080",
}
HEADS = ("", "median", "min..max", "ratio", "of limit")
ABSENT, LONGEST_REASON = "not available", 110
NOTES = (
    "Ratio: the other's time or memory against ours (the first convae row of a block), so above 1"
    " ours is better; in the blocks about threads, the speed-up over one thread.",
    "PyTorch's last two variants and the limit run with glibc's malloc told to keep memory, as PyTorch's"
    " tuning guide advises; Keras runs `fit` and `predict` as they are; compilation is not timed.",
)


class Report:
    """Written anew after each part: a long run may be stopped."""

    def __init__(self, out: Path, built: Path, arguments: list[str]) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self.out, self.arguments = out, arguments
        self.machine, self.activity = machine.describe(built), machine.Activity()
        self.figures: list[Figure] = []
        self.mflop: dict[str, float] = {}
        """Of a step, by cell."""
        self.convolutions: dict[str, list[float]] = {}
        """GFLOP/s of the limit's convolutions."""
        self.peak: tuple[str, float] | None = None

    def add(self, figures: list[Figure]) -> None:
        self.figures += figures
        compare(self.figures)
        self._hold_against_limit()
        self.write()

    def limit_ms(self, cell: str) -> float | None:
        """MFLOP through GFLOP/s are milliseconds."""
        return self.mflop[cell] / self.peak[1] if self.peak and cell in self.mflop else None

    def _hold_against_limit(self) -> None:
        for figure in self.figures:
            limit = self.limit_ms(figure.cell) if figure.section == "step" else None
            if limit and figure.ours and figure.samples:
                figure.of_limit = limit / figure.median

    def write(self) -> None:
        (self.out / "bench.md").write_text(self.markdown() + "\n")
        record = {
            "machine": self.machine | {"others_share": self.activity.others_share()}, "arguments": self.arguments,
            "limit": {
                "peak": self.peak and {"convolution": self.peak[0], "gflops": self.peak[1]},
                "samples_gflops": self.convolutions,
                "mflop_per_step": self.mflop,
                "ms_per_step": {cell: self.limit_ms(cell) for cell in self.mflop},
            },
            "figures": [figure.json() for figure in self.figures],
        }
        (self.out / "bench.json").write_text(json.dumps(record, indent=1) + "\n")

    def blocks(self) -> list[tuple[str, list[tuple[str, ...]]]]:
        """Headline and lines of each cell; steps end in their limit."""
        found = []
        for (section, cell), figures in groups(self.figures).items():
            lines = [cells_of(figure) for figure in figures]
            limit = self.limit_ms(cell) if section == "step" else None
            if limit:
                lines.append(("limit: folded arithmetic", f"{number(limit)} ms", "", "", ""))
            found.append((f"{TITLES[section]}, {cell}", lines))
        return found

    def notes(self) -> list[str]:
        notes = [machine.in_words(self.machine, self.activity.others_share()), *NOTES]
        if self.peak:
            name, gflops = self.peak
            notes.append(
                f"Limit: the multiply-adds of all convolutions, upsampling folded in, at {gflops:.0f} GFLOP/s,"
                f" the best that oneDNN's forward convolution of 32 channels did in this run ({name})."
            )
        return notes

    def text(self) -> str:
        """Columns aligned by spaces."""
        blocks = self.blocks()
        lines = [HEADS] + [line for _, block in blocks for line in block]
        lines = [line for line in lines if not line[1].startswith(ABSENT)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(HEADS))]
        parts = ["\n".join([title, *(aligned(line, widths) for line in [HEADS, *block])]) for title, block in blocks]
        return "\n\n".join(parts + ["\n".join(self.notes())])

    def markdown(self) -> str:
        """One table; each cell's headline is a row of its own."""
        lines = ["| " + " | ".join(HEADS) + " |", "|---|---:|---:|---:|---:|"]
        for title, block in self.blocks():
            lines.append(f"| **{title}** | | | | |")
            lines += ["| " + " | ".join(line) + " |" for line in block]
        return "\n".join(lines) + "\n\n" + "\n\n".join(self.notes())


def cells_of(figure: Figure) -> tuple[str, ...]:
    if not figure.samples:
        return (figure.label, f"{ABSENT}: {figure.reason[:LONGEST_REASON] or 'it gave no figure'}", "", "", "")
    spread = f"{number(min(figure.samples))}..{number(max(figure.samples))}" if len(figure.samples) > 1 else ""
    ratio = f"{figure.ratio:.2f}" if figure.ratio else ""
    limit = f"{figure.of_limit:.0%}" if figure.of_limit else ""
    return (figure.label, f"{number(figure.median)} {figure.unit}", spread, ratio, limit)


def number(value: float) -> str:
    """Three digits, and thousands in full."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def aligned(line: tuple[str, ...], widths: list[int]) -> str:
    first, *rest = line
    if rest[0].startswith(ABSENT):
        return f"  {first.ljust(widths[0])}  {rest[0]}"
    return "  ".join(["", first.ljust(widths[0]), *(c.rjust(w) for c, w in zip(rest, widths[1:]))]).rstrip()


def best_convolution(samples: dict[str, list[float]]) -> tuple[str, float] | None:
    """The best of the medians: one lucky turn is no peak."""
    medians = {name: median(values) for name, values in samples.items() if values}
    return max(medians.items(), key=lambda item: item[1]) if medians else None
