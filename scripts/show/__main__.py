"""`python -m show`: pages, training, contests, tables and pictures. scripts/show.sh runs it."""

import argparse
import subprocess
import sys
from pathlib import Path

from parity.failure import Failure, exit_status

from . import draw, many
from .contest import Contest, say
from .ours import Model
from .report import Report
from .tasks import TASKS

PARTS = (*(task.config for task in TASKS), "speed")


def main() -> int:
    return exit_status(lambda: show(parse()), say, "what was measured until then is in the folder")


def show(arguments: argparse.Namespace) -> None:
    parts = chosen(arguments.only)
    make_pages(arguments.pages)
    report = Report(arguments.out, arguments.built)
    for task in TASKS:
        if task.config in parts:
            contest = Contest(task, trained(arguments, task.config), arguments.out / "work" / task.config)
            contest.play()
            draw.draw(arguments.out / f"{task.config}.png", contest)
            report.add(contest)
    if "speed" in parts:
        model = trained(arguments, TASKS[0].config)
        report.add_speeds(many.measure(model, arguments.out / "work/speed", arguments.rounds))
    print(report.markdown(), flush=True)
    say(f"tables, pictures and figures: {arguments.out}/show.md, *.png, show.json")


def trained(arguments: argparse.Namespace, config: str) -> Model:
    model = Model(arguments.built / "convae", config, arguments.out / "runs" / config, arguments.pages)
    say(f"{config}: training, unless {model.folder} holds a run (its log: {model.folder}.log)")
    model.train(arguments.retrain)
    return model


def make_pages(folder: Path) -> None:
    if not (folder / "train").exists() or not (folder / "test").exists():
        script = Path(__file__).resolve().parent.parent / "make_pages.py"
        if subprocess.run([sys.executable, str(script), "--out", str(folder)]).returncode:
            raise Failure(f"the pages could not be made in {folder}; the message is above")


def chosen(text: str | None) -> tuple[str, ...]:
    names = tuple(text.split(",")) if text else PARTS
    for name in names:
        if name not in PARTS:
            raise Failure(f"--only does not know {name}; choose of {', '.join(PARTS)}")
    return names


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "scripts/show.sh", description="Trains the models for pages of text and holds them beside other methods."
    )
    parser.add_argument("--only", metavar="PARTS", help=f"some of {', '.join(PARTS)}, with commas")
    parser.add_argument("--retrain", action="store_true", help="trains anew where the folder holds a run already")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="turns in the speed test (default: 3)")
    parser.add_argument("--out", type=Path, default=Path("runs/show"), metavar="DIR", help="default: runs/show")
    parser.add_argument("--pages", type=Path, default=Path("data/pages"), metavar="DIR", help="default: data/pages")
    parser.add_argument("--built", type=Path, default=Path("target/debug"), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
