"""Tests of whole comparisons with Keras, on a few steps: `driver.run`, as `python -m parity` calls it."""

from dataclasses import replace

import numpy as np
from PIL import Image

from . import compare, driver, program
from .plants import OWN_CONFIGS
from .sandbox import DIGITS, Sandbox

NORMALIZED = """
name = "normalized"
[model]
encoder = [
  { layer = "Conv2D", filters = 4, kernel_size = 3, strides = 4, padding = "same" },
  { layer = "BatchNormalization" },
  { layer = "ReLU" },
]
decoder = [
  { layer = "Conv2DTranspose", filters = 1, kernel_size = 3, strides = 4, padding = "same", activation = "sigmoid" },
]
"""
COLOURS = """
name = "colours"
[data]
kind = "npz"
file = "FILE"
train = "pictures"
test = "pictures"
[model]
input_shape = [12, 8, 3]
encoder = [
  { layer = "Conv2D", filters = 4, kernel_size = 3, padding = "same", activation = "relu" },
  { layer = "Conv2D", filters = 4, kernel_size = 3, strides = 2, padding = "same", activation = "relu" },
]
decoder = [
  { layer = "Conv2DTranspose", filters = 3, kernel_size = 3, strides = 2, padding = "same", activation = "sigmoid" },
]
"""

OPEN = """
name = "open"
[data]
kind = "images"
train = "FOLDER/train"
test = "FOLDER/test"
[data.patches]
size = [12, 16]
[model]
input_shape = [-1, -1, 1]
layers = [
  { layer = "Conv2D", name = "conv", filters = 1, kernel_size = 3, padding = "same", activation = "tanh" },
  { layer = "Shared", of = "conv" },
  { layer = "Add", inputs = ["input", "shared", "conv"] },
  { layer = "Conv2D", filters = 1, kernel_size = 3, activation = "sigmoid" },
]
[train]
epochs = 1
loss = "mse"
"""


class Parity(Sandbox):
    def test_a_graph_of_open_size_whose_output_is_smaller_than_its_input_is_compared(self) -> None:
        """Each target is the middle of a patch."""
        random = np.random.default_rng(4)
        for split, count in (("train", 8), ("test", 2)):
            (self.folder / split).mkdir()
            for index in range(count):
                image = Image.fromarray(random.integers(0, 256, (25, 32), np.uint8))
                image.save(self.folder / split / f"{index}.png")
        (self.folder / "open.toml").write_text(OPEN.replace("FOLDER", str(self.folder)))
        compared = self.compared(self.folder / "open.toml", dtype="float64")
        self.assertEqual([row.comparison for row in compared.rows if not row.ok], [])
        self.assertEqual(compared.ours.outputs.shape[1:], (10, 14, 1))

    def test_the_config_of_a_run_with_a_bias_before_a_batch_normalization_is_compared(self) -> None:
        """That bias has a gradient of 0, of which either side has its own rounding."""
        (self.folder / "normalized.toml").write_text(NORMALIZED)
        sets = [f"data.dir={DIGITS}", "data.train_samples=64", "data.test_samples=32"]
        self.convae("--config", self.folder / "normalized.toml", "--out", self.folder / "run",
                    *(word for argument in sets for word in ("--set", argument)))
        compared = self.compared(self.folder / "run/config.toml", dtype="float64")
        rows = {row.comparison: row for row in compared.rows}
        self.assertEqual([row.comparison for row in compared.rows if not row.ok], [])
        self.assertLess(float(rows["jax: gradient of step 1"].measured), 1e-9)
        bias = compared.replays[0].gradient["encoder.conv2d.bias"]
        self.assertLess(np.abs(bias).max(), 1e-12)

    def test_mixed_precision_is_as_near_to_float32_as_keras_is(self) -> None:
        (self.folder / "normalized.toml").write_text(NORMALIZED)
        sets = [f"data.dir={DIGITS}", "data.train_samples=64", "data.test_samples=32", "train.engine=libtorch",
                "train.epochs=1"]
        compared = self.compared(self.folder / "normalized.toml", *sets, dtype="mixed_bfloat16")
        self.assertEqual([row.comparison for row in compared.rows if not row.ok], [])
        # A run in float32 in its place is found.
        exact = replace(compared.replays[0], gradient=compared.ours.gradient)
        rows = compare.compare(compared.ours, compared.replays, "mixed_bfloat16", exact)
        self.assertEqual([row.comparison for row in rows if not row.ok][0], "from float32: gradient of step 1, at least")

    def test_the_layer_that_parts_first_is_found_whatever_the_data_are(self) -> None:
        """Planted: `same` padding with its odd pixel on the other side, which a stride of 2 shows."""
        random = np.random.default_rng(3)
        np.savez(self.folder / "colours.npz", pictures=random.integers(0, 256, (40, 12, 8, 3), np.uint8))
        (self.folder / "colours.toml").write_text(COLOURS.replace("FILE", str(self.folder / "colours.npz")))
        for file, sets in (
            (self.folder / "colours.toml", ()),
            (OWN_CONFIGS / "strided.toml", (f"data.dir={DIGITS}", "data.train_samples=64", "data.test_samples=32")),
        ):
            with self.subTest(file.name):
                compared = self.compared(file, *sets, dtype="float64", fault="same-padding")
                missed = [row for row in compared.rows if row.ok is False]
                self.assertIn("the first layer that gives another output is encoder.conv2d_1", missed[0].culprit)

    def compared(self, file, *sets: str, **options) -> driver.Compared:
        program.use(program.find())
        return driver.run(driver.Case(file, self.folder / "out" / file.stem, overrides=sets, backends=("jax",),
                                      convae=program.find(), **options))
