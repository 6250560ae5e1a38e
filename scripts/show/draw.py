"""The picture: a window of some pages in a row each, a contestant in a column each, pixel by pixel."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .contest import Contest
from .pictures import WHITE, Score

PAGES = (3, 5, 10)
"""Different in size of letters, paper and what is on them."""
HEIGHT, WIDTH, GAP, LINE = 110, 160, 6, 18
BLACK = 0


def draw(path: Path, contest: Contest) -> None:
    """Writes a PNG; the figures are of the whole page."""
    names = [name for name in contest.shown if name != "clean"] + ["clean"]
    rows = [page for page in PAGES if page < len(contest.shown["clean"])]
    sheet = Image.new("L", (len(names) * (WIDTH + GAP) - GAP, LINE + len(rows) * (HEIGHT + LINE)), WHITE)
    pen = ImageDraw.Draw(sheet)
    for column, name in enumerate(names):
        left = column * (WIDTH + GAP)
        face = "DejaVuSans-Bold" if name.startswith("convae") else "DejaVuSans"
        pen.text((left + WIDTH // 2, LINE // 2), name, font=font(face), fill=BLACK, anchor="mm")
        for row, page in enumerate(rows):
            top, picture = LINE + row * (HEIGHT + LINE), contest.shown[name][page]
            sheet.paste(window(picture), (left, top))
            if name != "clean":
                label = f"{Score.of(picture, contest.shown['clean'][page]).psnr:.1f} dB"
                place = (left + WIDTH // 2, top + HEIGHT + LINE // 2)
                pen.text(place, label, font=font(face), fill=BLACK, anchor="mm")
    sheet.save(path)


def window(picture: np.ndarray) -> Image.Image:
    """The same place of every page: a little off its middle."""
    top, left = (max((side - part) // 3, 0) for side, part in zip(picture.shape, (HEIGHT, WIDTH)))
    return Image.fromarray(np.rint(picture[top:top + HEIGHT, left:left + WIDTH] * WHITE).astype(np.uint8))


def font(face: str) -> ImageFont.FreeTypeFont:
    folder = Path(find_spec("matplotlib").origin).parent / "mpl-data/fonts/ttf"
    return ImageFont.truetype(folder / f"{face}.ttf", 11)
