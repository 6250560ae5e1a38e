"""The chart: a small panel of bars for each cell, ours highlighted, shorter is better."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from .figures import Figure, groups
from .report import TITLES, Report, number

OURS, ALSO_OURS, OTHERS, LIMIT = "#d9480f", "#f4a877", "#b9bdc6", "#1f2a44"
SECTIONS = ("step", "predict", "whole")
COLUMNS = 2
CAPTION = "Medians; lines from the least to the most; in brackets, how many times ours. "
WIDTH, BAR_HEIGHT, HEAD_HEIGHT = 11.5, 0.27, 0.75


def draw(path: Path, report: Report) -> None:
    """Writes a PNG; without figures, none."""
    panels = [
        (section, cell, [figure for figure in group if figure.samples])
        for (section, cell), group in groups(report.figures).items() if section in SECTIONS
    ]
    panels = [panel for panel in panels if panel[2]]
    if not panels:
        return
    rows = [panels[start:start + COLUMNS] for start in range(0, len(panels), COLUMNS)]
    heights = [HEAD_HEIGHT + BAR_HEIGHT * max(len(bars) for _, _, bars in row) for row in rows]
    figure, axes = plt.subplots(len(rows), COLUMNS, figsize=(WIDTH, sum(heights)), squeeze=False,
                                height_ratios=heights, layout="constrained")
    for line, row in zip(axes, rows):
        for place, panel in zip(line, row):
            draw_panel(place, *panel, report)
        for place in line[len(row):]:
            place.axis("off")
    machine = report.machine
    figure.supxlabel(f"{CAPTION}{machine['date'][:10]}, {machine['cpu']}, {machine['threads']} threads", fontsize=9)
    figure.get_layout_engine().set(h_pad=0.09)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def draw_panel(axes: plt.Axes, section: str, cell: str, figures: list[Figure], report: Report) -> None:
    values = [figure.median for figure in figures]
    low = [figure.median - min(figure.samples) for figure in figures]
    high = [max(figure.samples) - figure.median for figure in figures]
    places = range(len(figures))
    axes.barh(places, values, color=colours(figures), height=0.74)
    axes.errorbar(values, places, xerr=[low, high], fmt="none", ecolor="#5b6270", elinewidth=0.9)
    axes.set_yticks(places, [figure.label for figure in figures], fontsize=10)
    for place, figure in enumerate(figures):
        axes.annotate(text_of(figure), (max(figure.samples), place), xytext=(4, 0), textcoords="offset points",
                      va="center", fontsize=9.5, fontweight="bold" if figure.ours else "normal")
    limit = report.limit_ms(cell) if section == "step" else None
    if limit:
        axes.axvline(limit, color=LIMIT, linestyle=(0, (3, 2)), linewidth=1.1)
        axes.annotate("limit", (limit, 1), xycoords=("data", "axes fraction"), xytext=(0, 2),
                      textcoords="offset points", ha="center", fontsize=8.5, color=LIMIT)
    axes.set_xlim(0, 1.3 * max(max(figure.samples) for figure in figures))
    better = "more is better" if figures[0].unit == "images/s" else "less is better"
    axes.set_title(f"{TITLES[section]}, {cell}\n{figures[0].unit}, {better}", loc="left", fontsize=10.5, pad=12)
    axes.invert_yaxis()
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.tick_params(left=False, bottom=False, labelbottom=False)


def colours(figures: list[Figure]) -> list[str]:
    """The one that the others are held against stands out."""
    first = next((figure for figure in figures if figure.ours), None)
    return [OURS if figure is first else ALSO_OURS if figure.ours else OTHERS for figure in figures]


def text_of(figure: Figure) -> str:
    ratio = f"  ({figure.ratio:.1f}x)" if figure.ratio and not figure.ours else ""
    return f"{number(figure.median)}{ratio}"
