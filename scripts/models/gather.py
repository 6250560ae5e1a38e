"""Fetches the photographs, shrinks them, and writes them as grey and as colour PNGs."""

import bz2
import shutil
from pathlib import Path

from PIL import Image

from parity.failure import Failure

from .pictures import PICTURES, TEST, TRAIN, Picture

RACCOON = (1024, 768)
"""Width and height of SciPy's picture, whose file says neither."""
COLOURS = {"grey": "L", "colour": "RGB"}
"""The two sets, and Pillow's name for what their pictures hold."""


def gather(out: Path) -> None:
    """Makes `out`/grey and `out`/colour, each with train/ and test/, unless they are there as PICTURES says."""
    stamp, wanted = out / "made-of.txt", "\n".join(map(repr, PICTURES)) + "\n"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    for name in COLOURS:
        if (out / name).exists() and not stamp.exists() and any((out / name).iterdir()):
            raise Failure(f"{out / name} was not made by this script; move it away")
        shutil.rmtree(out / name, ignore_errors=True)
    # Under another name until all are there: what is interrupted begins anew.
    part = out / "part"
    shutil.rmtree(part, ignore_errors=True)
    for picture in PICTURES:
        write(picture, load(picture.source.open(out / "packages") / picture.file), part)
    for name in COLOURS:
        (part / name).rename(out / name)
    stamp.write_text(wanted)


def load(file: Path) -> Image.Image:
    if not file.exists():
        raise Failure(f"{file} is not there: its package has other pictures than the version that pictures.py names")
    if file.suffix == ".dat":
        return Image.frombytes("RGB", RACCOON, bz2.decompress(file.read_bytes()))
    return Image.open(file)


def write(picture: Picture, image: Image.Image, out: Path) -> None:
    for ending, copy in copies(picture, image):
        for name, colours in COLOURS.items():
            if name == "colour" and picture.grey:
                continue
            file = out / name / picture.part / f"{picture.name}{ending}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            copy.convert(colours).save(file)


def copies(picture: Picture, image: Image.Image) -> list[tuple[str, Image.Image]]:
    """The shrunk picture, and where it is to be there twice a smaller one: endings of names, and images."""
    image = image.convert("RGB")
    factors = {"": picture.shrink} | ({"-half": 2 * picture.shrink} if picture.twice else {})
    return [(ending, image.reduce(factor)) for ending, factor in factors.items()]


def summary(out: Path) -> str:
    """How many pictures there are, and how large they are together."""
    lines = []
    for name in COLOURS:
        for part in (TRAIN, TEST):
            sizes = [Image.open(file).size for file in sorted((out / name / part).glob("*.png"))]
            pixels = sum(width * height for width, height in sizes)
            lines.append(f"{name}/{part}: {len(sizes)} pictures, {pixels / 1e6:.2f} million pixels")
    return "; ".join(lines)
