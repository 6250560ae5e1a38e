"""`python -m parity`: what to compare, and the exit code. See --help; scripts/parity.sh runs it."""

import argparse
import sys
from pathlib import Path

from . import config, plants, program, seeds, single
from .driver import BACKENDS, DTYPES, Case, run, say
from .failure import Failure
from .report import Report

SHIPPED = {"plain": "plain.toml", "denoise": "denoise.toml"}
QUICK = ("data.train_samples=3200", "data.test_samples=2000")
"""100 steps."""
GRAPHS = ("unet", "residual", "merges")
"""Configs whose layers read others than the one before; in float64, where a wrong connection cannot hide."""
FEW = ("data.train_samples=640", "data.test_samples=200", "train.epochs=1")
"""20 steps."""
QUICK_BACKENDS = ("tensorflow", "jax")
QUICK_CASES, FULL_CASES = 5, 200
SEEDS = 10


def main() -> int:
    try:
        arguments = parse()
        arguments.convae = arguments.convae or program.find()
        program.use(arguments.convae)
        return compare(arguments)
    except Failure as failure:
        say(str(failure))
        return 2
    except KeyboardInterrupt:
        say("interrupted")
        return 130


def compare(arguments: argparse.Namespace) -> int:
    """Everything that was asked for; the exit code is 1 where a bar was missed."""
    chosen = cases(arguments)
    report = Report(arguments.out)
    for case in chosen:
        compared = run(case)
        report.add(case.name, compared.rows, compared.note())
    if not arguments.config and single.available():
        count = FULL_CASES if arguments.full else QUICK_CASES
        report.add(f"single layers, {count} cases each", single.check(arguments.out, count))
    if arguments.full:
        compare_from_scratch(arguments, report)
        report.add("mutation check", plants.check(arguments.out / "plants", arguments.convae))
    return report.conclude()


def compare_from_scratch(arguments: argparse.Namespace, report: Report) -> None:
    """Both shipped configs, with nothing shared but the config."""
    for label, file in SHIPPED.items():
        case = Case(config.find(file), arguments.out / f"{label}-scratch", label=label,
                    overrides=tuple(arguments.overrides), convae=arguments.convae)
        report.add(f"{label} from scratch", seeds.check(case, SEEDS))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser("scripts/parity.sh", description="Holds convae against Keras.")
    parser.add_argument("--config", metavar="FILE", help="compare this config instead of the shipped two")
    parser.add_argument("--epochs", type=int, metavar="N", help="epochs, instead of the config's")
    parser.add_argument("--backend", metavar="NAME,...", help=f"Keras backends, of {', '.join(BACKENDS)}")
    parser.add_argument("--dtype", metavar="NAME,...", default="float32,float64", help=", ".join(DTYPES))
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, default=Path("runs/parity"), metavar="DIR")
    parser.add_argument("--full", action="store_true", help="every bar: hours")
    parser.add_argument("--convae", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--plant", help=argparse.SUPPRESS)
    return parser.parse_args()


def cases(arguments: argparse.Namespace) -> list[Case]:
    """Each config in each precision."""
    dtypes = chosen(arguments.dtype, DTYPES)
    if arguments.config:
        return [_case(arguments, Path(arguments.config).stem, arguments.config, dtype) for dtype in dtypes]
    quick = () if arguments.full else QUICK
    shipped = [_case(arguments, label, file, dtype, quick) for label, file in SHIPPED.items() for dtype in dtypes]
    exact = [dtype for dtype in dtypes if dtype == "float64"]
    graphs = [_case(arguments, label, str(plants.OWN_CONFIGS / f"{label}.toml"), dtype, FEW)
              for label in GRAPHS for dtype in exact]
    return shipped + graphs


def _case(
    arguments: argparse.Namespace, label: str, file: str, dtype: str, overrides: tuple[str, ...] = ()
) -> Case:
    epochs = (f"train.epochs={arguments.epochs}",) if arguments.epochs else ()
    backends = chosen(arguments.backend, BACKENDS) or (BACKENDS if arguments.full else QUICK_BACKENDS)
    return Case(
        config=config.find(file), out=arguments.out / f"{label}-{dtype}", dtype=dtype, label=label,
        backends=backends, overrides=(*overrides, *epochs, *arguments.overrides),
        fault=arguments.plant, convae=arguments.convae,
    )


def chosen(text: str | None, known: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(text.split(",")) if text else ()
    for name in names:
        if name not in known:
            raise Failure(f"{name} is not known; choose of {', '.join(known)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
