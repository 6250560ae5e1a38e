"""`python -m bench`: what to measure, from the first child to the table. scripts/bench.sh runs it."""

import argparse
import sys
from pathlib import Path

from parity import config, program
from parity.failure import Failure

from . import large, patches, plot, whole, work
from .contestants import CELLS, CONTESTANTS, Cell, cores
from .machine import BUSY
from .report import Report, best_convolution
from .sections import Settings, measure_cell, measure_scaling
from .stage import say

SECTIONS = ("step", "predict", "scaling", "whole", "patches", "large")
BY_DEFAULT = SECTIONS[:-2]
SCALING_CELLS = [cell for cell in CELLS if cell.batch == 128]


def main() -> int:
    try:
        arguments = parse()
        program.use(arguments.built / "convae")
        measure(settings_of(arguments))
        return 0
    except Failure as failure:
        say(str(failure))
        return 2
    except KeyboardInterrupt:
        say("interrupted: what was measured until then is in the folder")
        return 130


def measure(settings: Settings) -> None:
    report = Report(settings.out, settings.built, sys.argv[1:])
    if report.machine["load_before"] > BUSY:
        say(f"the machine is busy (load {report.machine['load_before']}): the figures will not be its best")
    if {"step", "predict"} & set(settings.sections):
        for cell in CELLS:
            measure_steps(settings, cell, report)
    if "patches" in settings.sections:
        for cell in patches.cells(settings.out / "patches"):
            measure_steps(settings, cell, report)
    if "large" in settings.sections:
        for figures in large.measure(settings):
            report.add(figures)
    if "scaling" in settings.sections:
        for cell in SCALING_CELLS:
            report.add(measure_scaling(settings, cell))
    if "whole" in settings.sections:
        report.add(whole.measure(settings))
    plot.draw(settings.out / "bench.png", report)
    print(report.text(), flush=True)
    say(f"table, chart and figures: {settings.out}/bench.md, bench.png, bench.json")


def measure_steps(settings: Settings, cell: Cell, report: Report) -> None:
    experiment = config.read(Path(cell.config), cell.overrides())
    if not cell.rounds:  # the limit is float32's
        report.mflop[cell.name] = work.mflop_per_image(experiment) * cell.batch
    figures, convolutions = measure_cell(settings, cell)
    for name, samples in convolutions.items():
        report.convolutions.setdefault(name, []).extend(samples)
    report.peak = best_convolution(report.convolutions)
    report.add(figures)


def settings_of(arguments: argparse.Namespace) -> Settings:
    quick = arguments.quick
    return Settings(
        rounds=arguments.rounds or (3 if quick else 11),
        turn=0.3 if quick else 1.0,
        whole_rounds=1 if quick else 3,
        threads=cores(),
        built=arguments.built,
        out=arguments.out,
        names=chosen(arguments.only, tuple(contestant.name for contestant in CONTESTANTS)),
        sections=chosen(arguments.sections, SECTIONS) if arguments.sections else BY_DEFAULT,
    )


def parse() -> argparse.Namespace:
    names = ", ".join(contestant.name for contestant in CONTESTANTS)
    parser = argparse.ArgumentParser(
        "scripts/bench.sh", description="Measures convae beside Keras and PyTorch, and inference beside ONNX Runtime and OpenVINO where that is "
        "installed, in turn, on this machine's CPU."
    )
    parser.add_argument("--quick", action="store_true", help="about nine minutes: fewer and shorter rounds")
    parser.add_argument("--out", type=Path, default=Path("runs/bench"), metavar="DIR")
    parser.add_argument("--only", metavar="NAMES", help=f"contestants, of {names}")
    parser.add_argument("--sections", metavar="NAMES", help=f"what is measured, of {', '.join(SECTIONS)}; all but the last two where not given")
    parser.add_argument("--rounds", type=int, metavar="N", help="turns of each contestant in a cell")
    parser.add_argument("--built", type=Path, default=Path("target/debug"), help=argparse.SUPPRESS)
    return parser.parse_args()


def chosen(text: str | None, known: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(text.split(",")) if text else known
    for name in names:
        if name not in known:
            raise Failure(f"{name} is not known; choose of {', '.join(known)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
