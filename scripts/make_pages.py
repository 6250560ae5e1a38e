#!/usr/bin/env python3
"""Makes a folder of scanned-looking pages of text, to train denoisers on: train/ and test/, 8-bit grey PNG.

    .venv/bin/python scripts/make_pages.py                  # into data/pages: 2,400 crops and 12 pages
    .venv/bin/python scripts/make_pages.py --out my/pages --crops 200 --seed 3

train/ holds 128x128 crops of pages set in DejaVu and Computer Modern's sans and typewriter faces; their
text are scikit-image's docstrings. test/ holds whole pages of other sizes, in fonts that no training page
has (Computer Modern Roman and STIX) and with another text (the Apache licence). Fonts and texts come
with the packages of scripts/requirements.txt, so the same seed gives the same pixels wherever those are
installed. Pages differ in paper, ink, sharpness, rotation and layout, and have shaded boxes and figures:
between black and white there are all greys.
"""

import argparse
import ast
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

ROOT = Path(__file__).resolve().parent.parent
CROP = 128
PAGE = (6 * CROP, 6 * CROP)
"""Height and width of the pages that are cut into training crops."""
TEST_SIZES = ((200, 300), (233, 350), (300, 300), (320, 240), (333, 500), (360, 480), (400, 300), (400, 560),
              (401, 267), (450, 600), (480, 640), (500, 700))
LEAST_CONTRAST = 0.03
"""Standard deviation of a crop's values; a crop of bare paper teaches little."""
KNOWN_FAMILIES = (
    ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique"),
    ("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic"),
    ("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique"),
    ("cmss10", "cmss10", "cmss10"),
    ("cmtt10", "cmtt10", "cmtt10"),
)
HELD_OUT_FAMILIES = (("cmr10", "cmb10", "cmti10"), ("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic"))
WORD = re.compile(r"[A-Za-z0-9.,;:()'!?/=+*\[\]-]+")
"""What all of these fonts draw as it is written; Computer Modern has other signs at some places."""
RULER = re.compile(r"--|==")
"""Docstrings underline their headings."""


def main() -> int:
    arguments = parse()
    for part in ("train", "test"):
        if any((arguments.out / part).glob("*")):
            print(f"make_pages: {arguments.out / part} is not empty; delete it, or name another folder with --out",
                  file=sys.stderr)
            return 2
    # One generator each: the test pages stay the same whatever the number of crops.
    train, test = (np.random.default_rng((arguments.seed, part)) for part in range(2))
    write(arguments.out / "train", crops(train, arguments.crops))
    write(arguments.out / "test", whole_pages(test))
    print(f"make_pages: {arguments.crops} crops in {arguments.out}/train, {len(TEST_SIZES)} pages in"
          f" {arguments.out}/test")
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser("make_pages.py", description="Makes pages of text to train denoisers on.")
    parser.add_argument("--out", type=Path, default=ROOT / "data/pages", help="default: data/pages")
    parser.add_argument("--crops", type=int, default=2400, metavar="N", help="training pictures (default: 2400)")
    parser.add_argument("--seed", type=int, default=7, help="other pages (default: 7)")
    return parser.parse_args()


def write(folder: Path, pictures: Iterator[np.ndarray]) -> None:
    """Under another name until all are there, so that an interrupted run leaves no half folder."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for index, picture in enumerate(pictures):
        Image.fromarray(np.rint(picture * 255).astype(np.uint8)).save(part / f"{index:05}.png")
    if folder.exists():
        folder.rmdir()
    part.rename(folder)


def crops(random: np.random.Generator, count: int) -> Iterator[np.ndarray]:
    """As many as were asked for, each page cut along a grid."""
    words, made = docstring_words(), 0
    while made < count:
        page = Page(random, PAGE, KNOWN_FAMILIES).filled(words)
        tiles = page.reshape(PAGE[0] // CROP, CROP, PAGE[1] // CROP, CROP).swapaxes(1, 2).reshape(-1, CROP, CROP)
        useful = [tile for tile in tiles if tile.std() > LEAST_CONTRAST][:count - made]
        made += len(useful)
        yield from useful


def whole_pages(random: np.random.Generator) -> Iterator[np.ndarray]:
    words = WORD.findall((ROOT / "LICENSE-APACHE").read_text())
    for index, size in enumerate(TEST_SIZES):
        family = HELD_OUT_FAMILIES[index % len(HELD_OUT_FAMILIES)]
        yield Page(random, size, (family,)).filled(words)


def docstring_words() -> list[str]:
    """Of scikit-image's own modules, in the order of their paths."""
    package = Path(find_spec("skimage").origin).parent
    words = []
    for path in sorted(package.glob("*/*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        documented = (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)))
        for node in documented:
            words += WORD.findall(ast.get_docstring(node) or "")
    return [word for word in words if not RULER.search(word)]


@dataclass(frozen=True)
class Style:
    """How a page is set and scanned."""

    size: int
    leading: float
    columns: int
    paper: float
    ink: float
    blur: float
    degrees: float

    @staticmethod
    def drawn(random: np.random.Generator, width: int) -> "Style":
        size = int(random.integers(11, 27))
        return Style(
            size=size,
            leading=random.uniform(1.15, 1.6),
            columns=2 if width > 32 * size and random.random() < 0.4 else 1,
            paper=random.uniform(0.72, 1.0),
            ink=random.uniform(0.02, 0.38),
            blur=random.uniform(0.3, 0.8),
            degrees=random.normal(0, 1.0),
        )


class Page:
    """Three layers of what covers the paper, 0 to 255; scanning makes values of them."""

    def __init__(self, random: np.random.Generator, shape: tuple[int, int], families: tuple) -> None:
        self.random, (self.height, self.width) = random, shape
        self.style = Style.drawn(random, self.width)
        self.family = families[random.integers(len(families))]
        self.ink, self.shade = (Image.new("L", (self.width, self.height)) for _ in range(2))
        self.pen, self.brush = ImageDraw.Draw(self.ink), ImageDraw.Draw(self.shade)

    def filled(self, words: list[str]) -> np.ndarray:
        """The page with paragraphs of these words, from a random place on, as a scan sees it."""
        margin = int(self.style.size * self.random.uniform(0.4, 1.6))
        gap = 2 * self.style.size
        across = (self.width - 2 * margin - gap * (self.style.columns - 1)) // self.style.columns
        for column in range(self.style.columns):
            left, top = margin + column * (across + gap), margin
            while top < self.height - self.style.size:
                top = self.block(words, left, top, across)
        return self.scanned()

    def block(self, words: list[str], left: int, top: int, across: int) -> int:
        """A figure, a heading or a paragraph; where it ends."""
        size, chance = self.style.size, self.random.random()
        if chance < 0.12:
            return self.figure(left, top, across)
        if chance < 0.3:
            font = self.font(self.family[1], int(size * self.random.uniform(1.1, 1.9)))
            return self.text(words, font, int(self.random.integers(3, 9)), left, top, across)
        font = self.font(self.family[2] if chance > 0.9 else self.family[0], size)
        end = self.text(words, font, int(self.random.integers(12, 90)), left, top, across)
        if self.random.random() < 0.15:
            darkness = int(self.random.integers(20, 130))
            self.brush.rectangle((left - 4, top - 3, left + across + 4, end - size // 2), fill=darkness)
        if self.random.random() < 0.1:
            self.pen.line((left, end - size // 3, left + across, end - size // 3), fill=self.pressure(), width=1)
        return end

    def text(self, words: list[str], font: ImageFont.FreeTypeFont, count: int, left: int, top: int, across: int) -> int:
        """Words one by one, since Computer Modern has no space; each with the ink that it got."""
        start = int(self.random.integers(len(words) - count))
        line, space, x, y = round(font.size * self.style.leading), 0.3 * font.size, left, top
        for word in words[start:start + count]:
            length = font.getlength(word)
            if x + length > left + across and x > left:
                x, y = left, y + line
            if length <= across:
                self.pen.text((x, y), word, font=font, fill=self.pressure())
                x += length + space
        return y + line + round(self.random.uniform(0.2, 1.2) * self.style.size)

    def figure(self, left: int, top: int, across: int) -> int:
        """A frame around slowly changing greys, as of a photograph."""
        tall = int(self.style.size * self.random.uniform(3, 8))
        coarse = self.random.integers(0, 200, (4, 6)).astype(np.uint8)
        self.shade.paste(Image.fromarray(coarse).resize((across, tall), Image.Resampling.BICUBIC), (left, top))
        self.pen.rectangle((left, top, left + across - 1, top + tall - 1), outline=self.pressure())
        return top + tall + self.style.size

    def font(self, name: str, size: int) -> ImageFont.FreeTypeFont:
        folder = Path(find_spec("matplotlib").origin).parent / "mpl-data/fonts/ttf"
        return ImageFont.truetype(folder / f"{name}.ttf", size, layout_engine=ImageFont.Layout.BASIC)

    def pressure(self) -> int:
        """How much ink a stroke got."""
        return int(self.random.integers(190, 256))

    def scanned(self) -> np.ndarray:
        """Turned a little, out of focus a little, on paper that is not equally bright everywhere."""
        paper = self.style.paper * (1 - 0.75 * self.layer(self.shade))
        paper = np.clip(paper + self.lighting(), 0, 1)
        return paper + self.layer(self.ink) * np.minimum(self.style.ink - paper, 0)

    def layer(self, picture: Image.Image) -> np.ndarray:
        turned = picture.rotate(self.style.degrees, Image.Resampling.BICUBIC)
        return np.asarray(turned.filter(ImageFilter.GaussianBlur(self.style.blur)), dtype=np.float64) / 255

    def lighting(self) -> np.ndarray:
        slopes = self.random.uniform(-0.07, 0.07, 2)
        down, across = np.mgrid[-1:1:self.height * 1j, -1:1:self.width * 1j]
        return slopes[0] * down + slopes[1] * across


if __name__ == "__main__":
    sys.exit(main())
