"""`python -m photos FOLDER`: training, denoising, rivals and the table."""

import argparse
import json
import sys
from pathlib import Path

from parity.failure import exit_status

from .contestants import METHODS, RIVALS, Method
from .protocol import Noisy, Photos
from .table import Row, markdown

DESCRIPTION = """\
Trains the shipped configs on the photographs of a folder and measures them on BSD68, beside BM3D, non-local
means and total variation. FOLDER holds train400/, bsd68/ and set12/ with grey PNGs.

Protocol: grey images; Gaussian noise with a standard deviation of SIGMA of 255, neither clipped nor rounded, from
NumPy's default_rng(SEED) image by image; PSNR of outputs clipped to 0..1, as a mean over the images. The methods
that learn from noisy images alone see one noisy version of each training image, and no clean one."""


def main() -> int:
    return exit_status(lambda: compete(parse()), say, "finished runs are kept, and the same command goes on")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/photos.sh", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [*METHODS, *RIVALS]
    parser.add_argument("folder", type=Path, help="with train400/, bsd68/ and set12/")
    parser.add_argument("--sigma", type=int, nargs="+", default=[25], help="strengths of the noise, of 255")
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="what takes part")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of all trainings")
    parser.add_argument("--seed", type=int, default=0, help="of the noise")
    parser.add_argument("--out", type=Path, default=Path("runs/photos"), help="folder for runs and the table")
    parser.add_argument("--retrain", action="store_true", help="train anew what is there already")
    parser.add_argument("--built", type=Path, default=Path("target/debug"), help=argparse.SUPPRESS)
    return parser.parse_args()


def compete(arguments: argparse.Namespace) -> None:
    photos = Photos(arguments.folder)
    rows = []
    for sigma in arguments.sigma:
        noisy = Noisy(photos, sigma, arguments.seed, arguments.out / f"sigma{sigma}")
        rows.append(noisy.row())
        for name in arguments.only:
            say(f"sigma {sigma}: {name}")
            contestant = METHODS.get(name) or RIVALS[name]
            rows += measured(contestant, noisy, arguments)
            write(arguments.out, rows)
    print(markdown(rows))
    say(f"the table and its figures: {arguments.out}/photos.md, photos.json")


def measured(contestant, noisy: Noisy, arguments: argparse.Namespace) -> list[Row]:
    try:
        if isinstance(contestant, Method):
            return contestant.compete(noisy, arguments.built / "convae", arguments.set, arguments.retrain)
        return [contestant.compete(noisy)]
    except ImportError as error:
        say(f"left out: {error}")
        return []


def write(out: Path, rows: list[Row]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "photos.md").write_text(markdown(rows) + "\n")
    (out / "photos.json").write_text(json.dumps([row.figures() for row in rows], indent=1) + "\n")


def say(text: str) -> None:
    print(f"photos: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
