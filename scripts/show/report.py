"""The tables that a person reads, the same as Markdown, and everything as JSON."""

import json
from importlib import metadata
from pathlib import Path
from statistics import median

from bench import machine

from .contest import Contest, Result
from .many import Speed
from .tasks import TASKS, Task

PACKAGES = ("scikit-image", "bm3d", "opencv-python-headless", "torch", "pillow")


class Report:
    """Written anew after each part: a long run may be stopped."""

    def __init__(self, out: Path, built: Path) -> None:
        self.out = out
        self.machine, self.activity = machine.describe(built), machine.Activity()
        self.machine["versions"] |= versions()
        self.results: list[Result] = []
        self.training: dict[str, float] = {}
        """Seconds, by config."""
        self.speeds: list[Speed] = []

    def add(self, contest: Contest) -> None:
        self.results += contest.results
        self.training[contest.task.config] = contest.model.training_seconds()
        self.write()

    def add_speeds(self, speeds: list[Speed]) -> None:
        self.speeds = speeds
        self.write()

    def write(self) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        (self.out / "show.md").write_text(self.markdown() + "\n")
        record = {
            "machine": self.machine | {"others_share": self.activity.others_share()},
            "training_seconds": self.training,
            "results": [result.json() for result in self.results],
            "speeds": [speed.json() for speed in self.speeds],
        }
        (self.out / "show.json").write_text(json.dumps(record, indent=1) + "\n")

    def markdown(self) -> str:
        parts = [self.task_table(task) for task in TASKS if task.config in self.training]
        if self.speeds:
            parts.append(speed_table(self.speeds))
        parts.append(machine.in_words(self.machine, self.activity.others_share()))
        return "\n\n".join(parts)

    def task_table(self, task: Task) -> str:
        """PSNR and SSIM at each level, and the seconds at the level of the pictures."""
        found = [result for result in self.results if result.task == task.config]
        levels = [level for level in task.levels if any(result.level == level for result in found)]
        pages = len(found[0].scores)
        heads = [f"**{task.title}**, {pages} held-out pages"]
        heads += [f"{task.level_name.format(level)}: PSNR, SSIM" for level in levels] + ["seconds a page"]
        lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
        for name in dict.fromkeys(result.name for result in found):
            of_name = {result.level: result for result in found if result.name == name}
            row = [f"**{name}**" if of_name[levels[0]].ours else name]
            row += [f"{of_name[level].psnr:.2f} dB, {of_name[level].ssim:.3f}" for level in levels]
            seconds = of_name[task.shown].seconds
            lines.append("| " + " | ".join([*row, "" if seconds is None else f"{seconds:.2f}"]) + " |")
        seconds = self.training[task.config]
        return "\n".join([*lines, "", f"`{task.config}.toml` trained for {seconds:.0f} s."])


def versions() -> dict[str, str]:
    """Of the packages that are there."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def speed_table(speeds: list[Speed]) -> str:
    lines = ["| **`apply`, 64x64, whole commands** | images/s | largest process |", "|---|---:|---:|"]
    for speed in speeds:
        name = f"**{speed.name}**" if speed.ours else speed.name
        lines.append(f"| {name} | {speed.per_second:.0f} | {median(speed.peak_mb):.0f} MB |")
    return "\n".join(lines)
