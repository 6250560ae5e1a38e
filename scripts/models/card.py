"""The tables of models/README.md, each between two comments; the rest of the page is written by hand."""

import re
from pathlib import Path

from parity.failure import Failure

from .pictures import PICTURES, TEST, Picture

BLOCKS = ("figures", "pictures")
BEGIN, END = "<!-- {}: written by scripts/models.sh -->", "<!-- end of {} -->"


def write(card: Path, figures: str) -> None:
    text = replaced(card.read_text(), "figures", figures)
    card.write_text(replaced(text, "pictures", pictures()))


def replaced(text: str, name: str, block: str) -> str:
    """The page with another block between the comments of that name."""
    begin, end = BEGIN.format(name), END.format(name)
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise Failure(f"the card needs one line {begin} and after it one line {end}: the {name} go between them")
    return re.sub(f"{re.escape(begin)}.*{re.escape(end)}", lambda _: f"{begin}\n\n{block}\n\n{end}", text, flags=re.S)


def pictures() -> str:
    lines = ["| picture | file | from | author | licence | shrunk by | |", "|---|---|---|---|---|---:|---|"]
    return "\n".join(lines + [line(picture) for picture in PICTURES])


def line(picture: Picture) -> str:
    uses = ["held out"] if picture.part == TEST else []
    uses += ["grey alone"] if picture.grey else []
    uses += ["at half the size too"] if picture.twice else []
    shrunk = str(picture.shrink) if picture.shrink > 1 else ""
    cells = [picture.name, f"`{picture.file}`", str(picture.source), picture.author, picture.licence, shrunk]
    return "| " + " | ".join([*cells, ", ".join(uses)]) + " |"
