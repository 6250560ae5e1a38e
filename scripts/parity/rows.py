"""One checked bar, and the table of them that a person reads."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass
class Row:
    """A comparison with its bar; `ok` is None where it could not be checked."""

    comparison: str
    measured: str
    bar: str
    ok: bool | None
    detail: str = ""
    """Where it is worst, or why it was not checked."""
    culprit: str = ""
    """If missed, what this says about where to look."""

    def json(self) -> dict[str, Any]:
        return asdict(self)


def within(comparison: str, measured: float, bar: float, detail: str = "", culprit: str = "") -> Row:
    """A number that must not exceed its bar; not a number is a miss."""
    return Row(comparison, f"{measured:.2g}", f"{bar:.2g}", bool(measured <= bar), detail, culprit)


FOOTNOTE = "* twice the distance between Keras's own backends, or of its float32 from its float64: more than the bar"


def missed(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row.ok is False]


HEADS = ("comparison", "measured", "bar", "", "")
VERDICTS = {True: "ok", False: "MISSED", None: "not checked"}


def as_text(rows: list[Row]) -> str:
    """Columns aligned by spaces."""
    cells = [HEADS] + [_cells(row) for row in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(4)]
    lines = ["  ".join([c.ljust(w) for c, w in zip(line, widths)] + [line[4]]).rstrip() for line in cells]
    return "\n".join(lines + _footnote(rows))


def as_markdown(rows: list[Row]) -> str:
    """The same as a Markdown table."""
    lines = ["| comparison | measured | bar | | |", "|---|---|---|---|---|"]
    lines += ["| " + " | ".join(_cells(row)) + " |" for row in rows]
    return "\n".join(lines + [""] * bool(_footnote(rows)) + [line.replace("*", "\\*") for line in _footnote(rows)])


def _footnote(rows: list[Row]) -> list[str]:
    return [FOOTNOTE] if any(row.bar.endswith("*") for row in rows) else []


def _cells(row: Row) -> tuple[str, ...]:
    return (row.comparison, row.measured, row.bar, VERDICTS[row.ok], row.detail)
