"""`python -m models [FOLDER]`: photographs, trainings, figures and the card's tables."""

import argparse
import shutil
import sys
from pathlib import Path

from bench import machine
from parity.failure import exit_status
from photos.protocol import Photos

from . import card
from .figures import HELD_OUT, PUBLIC, Figures
from .gather import gather, summary
from .measure import Contest
from .shipped import HERE, MODELS, Model

DATA = Path("data/models")
"""Where the configs look for the photographs."""
DESCRIPTION = """\
Trains models/photo-grey.toml and models/photo-colour.toml on freely licensed photographs (scripts/models/pictures.py),
copies the weights beside them, and measures them beside non-local means on held-out photographs. What is done already
is left alone, and a training that was cut short goes on.

The photographs come from Debian 12's packages (about 90 MB, unpacked and not installed) and from scikit-image; packages
that lie in data/models/packages are not fetched."""


def main() -> int:
    return exit_status(lambda: make(parse()), say, "finished parts are kept, and the same command goes on")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/models.sh", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", metavar="FOLDER",
                        help="public photographs, with bsd68/ in it: the grey model is measured on them too")
    parser.add_argument("--only", choices=MODELS, help="one of the two models")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of the trainings")
    parser.add_argument("--data-only", action="store_true", help="gather the photographs, and no more")
    parser.add_argument("--measure-only", action="store_true", help="measure the weights that are there")
    parser.add_argument("--retrain", action="store_true", help="train anew what is there already")
    parser.add_argument("--out", type=Path, default=Path("runs/models"), metavar="DIR",
                        help="runs, noisy and cleaned images (default: runs/models)")
    parser.add_argument("--ship", type=Path, default=HERE, metavar="DIR",
                        help="weights, figures and card (default: models)")
    parser.add_argument("--built", type=Path, default=Path("target/debug"), help=argparse.SUPPRESS)
    return parser.parse_args()


def make(arguments: argparse.Namespace) -> None:
    public = Photos(arguments.folder) if arguments.folder else None
    if public:
        public.files(public.judged)  # Is it there? Better said before an hour of training than after it.
    gather(DATA)
    say(summary(DATA))
    if arguments.data_only:
        return
    figures = Figures.open(arguments.ship)
    models = [MODELS[arguments.only]] if arguments.only else list(MODELS.values())
    for model in models:
        if not arguments.measure_only:
            train(model, figures, arguments)
        measure(model, figures, public, arguments)
        write_card(arguments.ship, figures)
    print(figures.markdown())
    say(f"weights, figures and card: {arguments.ship}/")


def train(model: Model, figures: Figures, arguments: argparse.Namespace) -> None:
    run = arguments.out / model.name
    say(f"{model.name}: training, unless {run} holds a finished run (its log: {run}.log)")
    minutes = model.train(arguments.built / "convae", run, arguments.set, arguments.retrain)
    if model.ship(run, arguments.ship) or model.name not in figures.models:
        figures.trained(model.name, minutes, machine.describe(arguments.built))


def measure(model: Model, figures: Figures, public: Photos | None, arguments: argparse.Namespace) -> None:
    held_out = model.held_out(DATA)
    contest = Contest(model.weights(arguments.ship), arguments.built / "convae", held_out)
    sets = {HELD_OUT: held_out}
    if public and not held_out.colour:
        sets[PUBLIC] = public
    for name, photos in sets.items():
        say(f"{model.name}: measuring on {name}")
        work = arguments.out / "noisy" / f"{model.name}-{photos.judged}"
        shutil.rmtree(work, ignore_errors=True)  # of other photographs, maybe
        rows = contest.rows(photos, work)
        figures.measured(model.name, name, len(photos.files(photos.judged)), rows, machine.describe(arguments.built))


def write_card(ship: Path, figures: Figures) -> None:
    page = ship / "README.md"
    if not page.exists():
        shutil.copyfile(HERE / "README.md", page)
    card.write(page, figures.markdown())


def say(text: str) -> None:
    print(f"models: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
