"""Tests that the benchmark's contestants do what they are told; what they take is measured, not tested."""

import subprocess
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import torch

from parity import config, program
from parity.sandbox import DIGITS, Sandbox

from . import large, patches, torch_model
from .contestants import CONTESTANTS, DEFAULT, Cell
from .sections import Settings
from .work import mflop_per_image

CONFIG = f"""
name = "little"
[data]
dir = "{DIGITS}"
[model]
encoder = [
  {{ layer = "Conv2D", filters = 4, kernel_size = 3, padding = "same", activation = "relu" }},
  {{ layer = "MaxPooling2D" }},
]
decoder = [
  {{ layer = "UpSampling2D" }},
  {{ layer = "Conv2D", filters = 1, kernel_size = 3, padding = "same", activation = "sigmoid" }},
]
"""
# One of each program that a contestant runs; the others are the same with other settings.
TRIED = ("native", "libtorch", "keras-jax", "torch-eager", "torch-tuned", "onnxruntime")


class Bench(Sandbox):
    def test_contestants_train_and_predict_when_they_are_told_to(self) -> None:
        file = self.folder / "little.toml"
        file.write_text(CONFIG)
        program.use(program.find())
        for contestant in CONTESTANTS:
            if contestant.name not in TRIED:
                continue
            with self.subTest(contestant.name):
                cell = Cell("little", str(file), 16)  # the warm-up's 20 steps and one more are an epoch at most
                child = contestant.start(cell, 1, program.find().parent, self.folder)
                try:
                    first = child.answer()
                    if contestant.trains:
                        self.assertGreater(first["peak_mb"], 1)
                        self.assertGreater(child.ask("train 2")["seconds"], 0)
                    self.assertGreater(child.ask("predict 1")["seconds"], 0)
                finally:
                    child.stop()

    def test_the_arithmetic_of_a_step_is_that_of_its_convolutions(self) -> None:
        """28x28x9x4 multiplications without the input's gradient, then 14x14x16x4, thrice."""
        file = self.folder / "little.toml"
        file.write_text(CONFIG)
        expected = 2 * (2 * 28 * 28 * 9 * 4 + 3 * 14 * 14 * 16 * 4) / 1e6
        self.assertAlmostEqual(mflop_per_image(config.read(file, [])), expected)
        self.assertGreater(mflop_per_image(config.read(program.ROOT / Path(DEFAULT[1]), [])), 1)

    def test_models_of_photographs_are_the_same_for_all(self) -> None:
        """Their weights are as many as convae counts."""
        program.use(program.find())
        for cell in patches.cells(self.folder):
            experiment = config.read(Path(cell.config), cell.overrides())
            model = torch_model.build(experiment, logits=False)
            command = [program.find(), "summary", "--config", cell.config]
            counted = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            weights = sum(weight.numel() for weight in model.parameters())
            self.assertIn(f"Trainable params: {weights:,}", counted)
            shape = (2, *experiment.input_shape[-1:], *experiment.input_shape[:-1])
            self.assertEqual(model(torch.zeros(shape)).shape, shape)
            if cell.model == "blog-deep":  # all but the first layer's input gradient
                products = 3 * 2 * (784 * 128 + 128 * 64 + 64 * 32) - 784 * 128
                self.assertAlmostEqual(mflop_per_image(experiment), 2 * products / 1e6)
            if cell.model == "strided":
                convolutions = 2 * 14 * 14 * 9 * 32 + 3 * 7 * 7 * 9 * (32 * 64 + 64 * 64)
                transposed = 3 * 14 * 14 * 9 * 64 * 32 + 3 * 28 * 28 * 9 * 32
                products = convolutions + 3 * 2 * 3136 * 16 + transposed
                self.assertAlmostEqual(mflop_per_image(experiment), 2 * products / 1e6)

    def test_where_products_are_rounded_our_other_engine_takes_the_native_ones_place(self) -> None:
        settings = Settings(rounds=1, turn=1.0, whole_rounds=1, threads=1, built=self.folder, out=self.folder,
                            names=("native", "torch-tuned", "onnxruntime"), sections=("patches",))
        cells = [Cell("little", "", 16, ("step",), dtype=dtype) for dtype in patches.DTYPES]
        names = [[contestant.name for contestant in settings.contestants(cell)] for cell in cells]
        self.assertEqual(names, [["native", "torch-tuned"], ["libtorch", "torch-tuned"]])

    def test_large_images_go_through_our_command_and_a_call_of_the_others(self) -> None:
        program.use(program.find())
        with mock.patch.multiple(large, MODELS=("dncnn-small",), COUNT=1, WIDTH=72, HEIGHT=64):
            names = ("native", "torch-tuned", "onnxruntime")
            settings = Settings(rounds=1, turn=1.0, whole_rounds=1, threads=1, built=program.find().parent,
                                out=self.folder, names=names, sections=("large",))
            [figures] = large.measure(settings)
        self.assertEqual([figure.name for figure in figures], list(names))
        for figure in figures:
            self.assertEqual((figure.reason, len(figure.samples)), ("", 1))

    def test_enlarged_channels_of_a_concatenation_take_fewer_multiplications(self) -> None:
        """8x8: 9x1x4 without an input's gradient; 4 of 8 channels at 4 and 4 at 9; then 1x1 of 3."""
        def layer(kind, name, *inputs, **options):
            return config.Layer(kind, "model", name, options, inputs)

        layers = [
            layer("Conv2D", "fine", "input", filters=4, kernel_size=3),
            layer("MaxPooling2D", "half", "fine"),
            layer("UpSampling2D", "up", "half"),
            layer("Concatenate", "both", "up", "fine"),
            layer("Conv2D", "next", "both", filters=3, kernel_size=3),
            layer("Conv2D", "last", "next", filters=1, kernel_size=1),
        ]
        experiment = SimpleNamespace(layers=layers, input_shape=(8, 8, 1))
        expected = 2 * 64 * (2 * 9 * 4 + 3 * (4 * 4 + 9 * 4) * 3 + 3 * 3) / 1e6
        self.assertAlmostEqual(mflop_per_image(experiment), expected)
