"""Tests that the models' photographs are what the card says, and that figures and card hold what was measured."""

import subprocess
import tomllib
import unittest
from pathlib import Path

import numpy as np
from PIL import Image

from parity import program
from parity.failure import Failure
from parity.sandbox import Sandbox
from photos.protocol import psnr
from photos.table import Row

from . import card
from .figures import PUBLIC, Figures, table
from .gather import copies, write
from .measure import SIDE, middle, spread
from .pictures import FREE, PICTURES, TEST, TRAIN, Picture
from .shipped import LARGEST, MODELS
from .sources import DebianPackage

PACKAGE = DebianPackage("nobody-has-this", "1:2", "usr")
MACHINE = {"date": "today", "cpu": "slow", "threads": 2, "versions": {"commit": "abc"}}


def picture(**facts) -> Picture:
    return Picture("one", PACKAGE, "one.png", "somebody", FREE[0], **facts)


def rows(name: str = "ours", seconds: float | None = 0.5) -> list[Row]:
    return [Row(sigma, name, "", 30 - sigma / 10, None, seconds) for sigma in (5, 15)]


class Weights(Sandbox):
    def test_those_that_are_shipped_take_noise_away(self) -> None:
        """Ten dB of a smooth image with a deviation of 25 of 255."""
        down, across = np.mgrid[:96, :128] / 32
        for model in MODELS.values():
            with self.subTest(model.name):
                clean = np.stack([0.5 + 0.3 * np.sin(down + phase) * np.cos(across) for phase in range(3)], axis=-1)
                clean = clean if model.colours == "colour" else clean[..., :1]
                noisy = clean + 25 / 255 * np.random.default_rng(1).standard_normal(clean.shape)
                given, cleaned = self.folder / f"{model.name}.npy", self.folder / f"{model.name}-cleaned.npy"
                np.save(given, noisy[None].astype(np.float32))
                weights = model.weights(program.ROOT / "models")
                self.assertLess(weights.stat().st_size, LARGEST)
                command = [program.find(), "apply", "--checkpoint", weights, "--out", cleaned, given]
                subprocess.run(command, check=True, capture_output=True)
                gained = psnr(np.load(cleaned)[0], clean) - psnr(noisy, clean)
                self.assertGreater(gained, 10)


class Pictures(Sandbox):
    def test_names_are_different_and_licences_free(self) -> None:
        names = [picture.name for picture in PICTURES]
        self.assertEqual(len(names), len(set(names)))
        for picture in PICTURES:
            with self.subTest(picture.name):
                self.assertIn(picture.licence, FREE)
                self.assertTrue(picture.author)

    def test_configs_count_the_pictures_right(self) -> None:
        """The learning rate is 0 after the last step, and not before."""
        for model in MODELS.values():
            with self.subTest(model.name):
                config = tomllib.loads((program.ROOT / model.config).read_text())
                files = sum(self.files(picture, model.colours) for picture in PICTURES)
                train, patches = config["train"], config["data"]["patches"]
                steps = -(-files * patches["per_image"] // train["batch_size"]) * train["epochs"]
                self.assertEqual(train["learning_rate_schedule"]["decay_steps"], steps)

    def files(self, picture: Picture, colours: str) -> int:
        """Training files of it."""
        absent = picture.part == TEST or (picture.grey and colours == "colour")
        return 0 if absent else 1 + picture.twice

    def test_pictures_are_shrunk_by_means_and_some_are_there_twice(self) -> None:
        image = Image.fromarray(np.array([[0, 20, 8, 8], [40, 60, 8, 8]], dtype=np.uint8))
        for twice, expected in ((False, {"": [30, 8]}), (True, {"": [30, 8], "-half": [19]})):
            made = copies(picture(shrink=2, twice=twice), image)
            self.assertEqual({ending: np.asarray(copy)[0, :, 0].tolist() for ending, copy in made}, expected)

    def test_a_grey_picture_is_for_the_grey_model_alone(self) -> None:
        write(picture(grey=True), Image.new("L", (4, 4)), self.folder)
        write(picture(part=TEST), Image.new("RGB", (4, 4)), self.folder)
        found = sorted(str(file.relative_to(self.folder)) for file in self.folder.rglob("*.png"))
        self.assertEqual(found, ["colour/test/one.png", f"grey/{TEST}/one.png", f"grey/{TRAIN}/one.png"])

    def test_a_package_that_cannot_be_had_is_said_in_one_sentence(self) -> None:
        with self.assertRaisesRegex(Failure, "Debian's nobody-has-this 1:2 is needed for its pictures, and .*Debian 12"):
            PACKAGE.open(self.folder)

    def test_a_package_that_lies_there_is_not_fetched(self) -> None:
        file = self.folder / "nobody-has-this_1%3a2_all.deb"
        file.touch()
        self.assertEqual(PACKAGE.file(self.folder), file)


class Measuring(unittest.TestCase):
    def test_files_are_chosen_at_even_distances(self) -> None:
        self.assertEqual(spread(list(range(9)), 4), [0, 2, 4, 6])
        self.assertEqual(spread(list(range(2)), 4), [0, 1])

    def test_the_middle_is_cut_out(self) -> None:
        self.assertEqual(middle(np.zeros((SIDE + 10, 20, 3))).shape, (SIDE, 20, 3))


class Report(Sandbox):
    def test_a_table_has_a_line_for_each_contestant_and_what_was_published(self) -> None:
        lines = table(PUBLIC, 68, rows("noisy", None) + rows()).splitlines()
        self.assertEqual(lines[0], "| BSD68, 68 images; PSNR, dB | sigma 5 | sigma 15 | s/image |")
        self.assertEqual(lines[2:4], ["| noisy | 29.50 | 28.50 |  |", "| ours | 29.50 | 28.50 | 0.50 |"])
        self.assertEqual(len(table("others", 68, rows()).splitlines()), 3)

    def test_figures_of_other_weights_go_and_those_of_the_other_model_stay(self) -> None:
        figures = Figures.open(self.folder)
        for name in ("a", "b"):
            figures.trained(name, 3, MACHINE)
            figures.measured(name, PUBLIC, 68, rows(), MACHINE)
        again = Figures.open(self.folder)
        self.assertEqual(again.markdown(), figures.markdown())
        again.trained("a", 4, MACHINE)
        self.assertNotIn("measured", Figures.open(self.folder).models["a"])
        self.assertIn("measured", Figures.open(self.folder).models["b"])
        self.assertIn("**`a.pt`** trained for 4 minutes on slow, 2 threads.", (self.folder / "figures.md").read_text())

    def test_the_cards_blocks_are_replaced_and_the_rest_stays(self) -> None:
        page = "before\n" + card.BEGIN.format("figures") + "\nold\n" + card.END.format("figures") + "\nafter"
        new = card.replaced(page, "figures", r"new \1")
        self.assertEqual(new, page.replace("\nold\n", "\n\nnew \\1\n\n"))
        self.assertEqual(card.replaced(new, "figures", r"new \1"), new)
        with self.assertRaisesRegex(Failure, "the card needs one line"):
            card.replaced(page, "pictures", "")

    def test_the_card_has_the_pictures_and_the_figures_that_are_there(self) -> None:
        text = (program.ROOT / "models/README.md").read_text()
        self.assertEqual(card.replaced(text, "pictures", card.pictures()), text)
        figures = program.ROOT / "models/figures.md"
        if figures.exists():
            self.assertEqual(card.replaced(text, "figures", figures.read_text().strip()), text)

    def test_weights_are_small(self) -> None:
        for file in Path(program.ROOT / "models").glob("*.pt"):
            self.assertLessEqual(file.stat().st_size, LARGEST)
