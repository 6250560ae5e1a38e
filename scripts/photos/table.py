"""The figures as rows, and as Markdown beside what was published."""

from dataclasses import asdict, dataclass

PUBLISHED = {
    "BM3D (published)": {15: 31.07, 25: 28.57, 50: 25.62},
    "DnCNN (published)": {15: 31.73, 25: 29.23, 50: 26.23},
    "Noise2Void (its paper)": {25: 27.71},
    "Noise2Void (its notebook, 6.5 h on a GPU)": {25: 27.81},
    "Noise2Void (CAREamics's notebook)": {25: 26.30},
}


@dataclass(frozen=True)
class Row:
    """One contestant at one strength."""

    sigma: int
    name: str
    learned_from: str
    psnr: float
    """Mean over BSD68, in decibels."""
    training_minutes: float | None = None
    seconds_per_image: float | None = None

    def figures(self) -> dict:
        return asdict(self)


def markdown(rows: list[Row]) -> str:
    lines = ["| sigma | | learned from | BSD68, dB | training, minutes | s/image |", "|---:|---|---|---:|---:|---:|"]
    for sigma in dict.fromkeys(row.sigma for row in rows):
        for row in (row for row in rows if row.sigma == sigma):
            minutes = "" if row.training_minutes is None else f"{row.training_minutes:.1f}"
            seconds = "" if row.seconds_per_image is None else f"{row.seconds_per_image:.2f}"
            lines.append(f"| {sigma} | {row.name} | {row.learned_from} | {row.psnr:.2f} | {minutes} | {seconds} |")
        for name, figures in PUBLISHED.items():
            if sigma in figures:
                lines.append(f"| {sigma} | {name} | | {figures[sigma]:.2f} | | |")
    return "\n".join(lines)
