"""What was measured, kept as figures.json, and as the tables that the card shows."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photos.table import PUBLISHED, Row

HELD_OUT, PUBLIC = "held-out photographs", "BSD68"


@dataclass
class Figures:
    """Of both models, by name: a model that is not measured now keeps what it has."""

    folder: Path
    models: dict[str, dict[str, Any]]

    @staticmethod
    def open(folder: Path) -> "Figures":
        file = folder / "figures.json"
        return Figures(folder, json.loads(file.read_text()) if file.exists() else {})

    def trained(self, name: str, minutes: float, machine: dict[str, Any]) -> None:
        """What was measured of other weights goes."""
        self.models[name] = {"training": {"minutes": minutes, **said(machine)}}
        self.write()

    def measured(self, name: str, photos: str, images: int, rows: list[Row], machine: dict[str, Any]) -> None:
        record = self.models.setdefault(name, {})
        record.setdefault("measured", {})[photos] = {
            "images": images, "rows": [row.figures() for row in rows], **said(machine),
        }
        self.write()

    def write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "figures.json").write_text(json.dumps(self.models, indent=1, sort_keys=True) + "\n")
        (self.folder / "figures.md").write_text(self.markdown() + "\n")

    def markdown(self) -> str:
        return "\n\n".join(section(name, record) for name, record in sorted(self.models.items(), reverse=True))


def said(machine: dict[str, Any]) -> dict[str, Any]:
    """What a figure needs beside it."""
    return {key: machine[key] for key in ("date", "cpu", "threads")} | {"commit": machine["versions"].get("commit", "")}


def section(name: str, record: dict[str, Any]) -> str:
    parts = [f"**`{name}.pt`**"]
    if "training" in record:
        training = record["training"]
        parts[0] += f" trained for {training['minutes']:.0f} minutes on {training['cpu']}, {training['threads']} threads."
    for photos, measured in sorted(record.get("measured", {}).items(), reverse=True):
        parts.append(table(photos, measured["images"], [Row(**row) for row in measured["rows"]]))
        parts.append(f"Measured {measured['date']} on {measured['cpu']}, {measured['threads']} threads.")
    return "\n\n".join(parts)


def table(photos: str, images: int, rows: list[Row]) -> str:
    """A line for each contestant, a column for each strength."""
    sigmas = sorted({row.sigma for row in rows})
    lines = [f"| {photos}, {images} images; PSNR, dB | " + " | ".join(f"sigma {sigma}" for sigma in sigmas)
             + " | s/image |", "|---|" + "---:|" * (len(sigmas) + 1)]
    for name in dict.fromkeys(row.name for row in rows):
        own = {row.sigma: row for row in rows if row.name == name}
        cells = [f"{own[sigma].psnr:.2f}" for sigma in sigmas]
        times = [row.seconds_per_image for row in own.values() if row.seconds_per_image is not None]
        lines.append("| " + " | ".join([name, *cells, f"{max(times):.2f}" if times else ""]) + " |")
    if photos == PUBLIC:
        lines += published(sigmas)
    return "\n".join(lines)


def published(sigmas: list[int]) -> list[str]:
    """What others report for these images, where they report more than one of the strengths."""
    found = {name: figures for name, figures in PUBLISHED.items() if len(figures.keys() & set(sigmas)) > 1}
    cells = {name: [f"{figures[sigma]:.2f}" if sigma in figures else "" for sigma in sigmas]
             for name, figures in found.items()}
    return ["| " + " | ".join([name, *values, ""]) + " |" for name, values in cells.items()]
