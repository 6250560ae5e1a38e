"""Tests of scripts/keras_weights.py: `python -m parity.test_keras_weights`, convae being built.

Every layer of the config language goes both ways. convae prints no outputs, so those of ours come
from a trace and those of Keras's weights are compared by the loss that `convae evaluate` prints.
"""

import io
import os
import subprocess
import tempfile
import tomllib
import unittest
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import torch
import keras_weights
from keras import layers

from . import checkpoint, config, idx
from .runs import read_trace

CONVAE = os.environ.get("CONVAE", os.environ.get("CARGO_TARGET_DIR", "target") + "/debug/convae")
EQUAL = 1e-6
"""float32, values in 0..1: some roundings, 6e-8 each."""
DATA = ("data.train_samples=64", "data.test_samples=32", "train.device=cpu")
PICTURES = """
name = "pictures"
[model]
encoder = [
  { layer = "Conv2D", filters = 4, kernel_size = [3, 2], padding = "same", activation = "leaky_relu" },
  { layer = "BatchNormalization", momentum = 0.9 },
  { layer = "ZeroPadding2D", padding = [[1, 0], [2, 0]] },
  { layer = "Cropping2D", cropping = [[0, 1], [1, 1]] },
  { layer = "MaxPooling2D", pool_size = 3, strides = 2, padding = "same" },
  { layer = "GaussianNoise", stddev = 0.1 },
  { layer = "Conv2D", filters = 6, kernel_size = 3, strides = 2, padding = "same", use_bias = false },
  { layer = "LeakyReLU", negative_slope = 0.2 },
]
decoder = [
  { layer = "Conv2DTranspose", filters = 5, kernel_size = [3, 2], strides = 2, padding = "same", activation = "tanh" },
  { layer = "ReLU" },
  { layer = "AveragePooling2D", pool_size = 2, strides = 1, padding = "same" },
  { layer = "UpSampling2D", size = 2, interpolation = "bilinear" },
  { layer = "Conv2D", filters = 1, kernel_size = 1 },
  { layer = "Activation", activation = "sigmoid" },
]
[train]
loss = "mse"
optimizer = { name = "RMSprop", rho = 0.8 }
"""
ROWS = """
name = "rows"
[model]
encoder = [
  { layer = "Flatten" },
  { layer = "Dropout", rate = 0.2 },
  { layer = "Dense", units = 24, activation = "relu", kernel_initializer = "he_normal" },
  { layer = "BatchNormalization", scale = false },
  { layer = "Dense", units = 12, activation = "selu" },
]
decoder = [
  { layer = "Dense", units = 98, activation = "gelu" },
  { layer = "Reshape", target_shape = [7, 7, -1] },
  { layer = "UpSampling2D", size = 4 },
  { layer = "Dense", units = 1, activation = "sigmoid", use_bias = false },
]
[train]
optimizer = { name = "SGD", momentum = 0.9, nesterov = true, clipnorm = 1.0 }
"""


class KerasWeights(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_keras_opens_what_convae_trained(self) -> None:
        for name, text in (("pictures", PICTURES), ("rows", ROWS)):
            with self.subTest(name):
                trained, trace = self.train(name, text)
                model = self.to_keras(trained, name)
                pictures = test_pictures()[: len(trace.outputs)]
                self.assert_equal(model.predict(pictures, verbose=0), trace.outputs)

    def test_the_keras_model_is_compiled_with_the_configs_optimizer_and_loss(self) -> None:
        model = self.to_keras(self.train("rows", ROWS)[0], "rows")
        self.assertEqual(type(model.optimizer).__name__, "SGD")
        self.assertEqual((model.optimizer.nesterov, model.optimizer.clipnorm), (True, 1.0))
        self.assertEqual(model.loss, "binary_crossentropy")
        model.fit(test_pictures(), test_pictures(), verbose=0)

    def test_convae_opens_what_keras_trained(self) -> None:
        for name, model in (("pictures", keras_pictures()), ("rows", keras_rows())):
            for ending in (".keras", ".h5"):
                with self.subTest(name + ending):
                    randomise(model)
                    model.save(self.folder / (name + ending))
                    self.run_script("from-keras", f"{name}{ending}", f"{name}.pt")
                    expected = model.evaluate(test_pictures(), test_pictures(), verbose=0)
                    self.assertAlmostEqual(self.convaes_loss(f"{name}.pt"), expected, delta=EQUAL)

    def test_a_round_trip_from_convae_is_bit_identical(self) -> None:
        for name, text, code in (("pictures", PICTURES, "leaky_re_lu"), ("rows", ROWS, "dense_1")):
            with self.subTest(name):
                trained, _ = self.train(name, text)
                self.to_keras(trained, name)
                self.run_script("from-keras", f"{name}.keras", "back.pt", "--code", code)
                self.assert_identical(trained, self.folder / "back.pt")

    def test_a_round_trip_from_keras_is_bit_identical(self) -> None:
        model = keras_pictures()
        randomise(model)
        model.save(self.folder / "there.keras")
        self.run_script("from-keras", "there.keras", "there.pt")
        self.run_script("to-keras", "there.pt", "back.keras")
        back = keras.saving.load_model(self.folder / "back.keras")
        for before, after in zip(model.get_weights(), back.get_weights(), strict=True):
            self.assertEqual(before.tobytes(), after.tobytes())
        options = [one.optimizer.get_config() | {"name": ""} for one in (model, back)]
        self.assertEqual(*options)

    def test_a_schedule_an_average_and_accumulated_gradients_go_there_and_back(self) -> None:
        rate = keras.optimizers.schedules.CosineDecay(0.25, 100, warmup_target=0.5, warmup_steps=8)
        model = keras_pictures()
        model.compile(
            keras.optimizers.SGD(rate, use_ema=True, ema_momentum=0.5, gradient_accumulation_steps=3), "mse"
        )
        model.save(self.folder / "there.keras")
        self.run_script("from-keras", "there.keras", "there.pt")
        self.run_script("to-keras", "there.pt", "back.keras")
        back = keras.saving.load_model(self.folder / "back.keras")
        options = [one.optimizer.get_config() | {"name": ""} for one in (model, back)]
        self.assertEqual(*options)

    def test_a_checkpoint_in_safetensors_gives_the_same_model(self) -> None:
        trained, _ = self.train("rows", ROWS, "output.safetensors=true")
        models = [self.to_keras(trained.with_suffix(ending), "rows") for ending in (".pt", ".safetensors")]
        for one, other in zip(*(model.get_weights() for model in models), strict=True):
            self.assertEqual(one.tobytes(), other.tobytes())

    def test_torch_and_convae_open_the_file_without_a_config(self) -> None:
        keras_rows().save(self.folder / "rows.keras")
        self.run_script("from-keras", "rows.keras", "rows.pt")
        weights = torch.load(self.folder / "rows.pt", weights_only=True)
        self.assertIn("encoder.dense.weight", weights)
        summary = self.convae("summary", "--checkpoint", str(self.folder / "rows.pt"))
        self.assertIn("batch_normalization", summary)
        self.convae("summary", "--config", str(self.folder / "rows.toml"))

    def test_an_activation_after_the_smallest_layer_belongs_to_the_code(self) -> None:
        small = [layers.Flatten(), layers.Dense(8), layers.ReLU(), layers.Dense(8), layers.Dense(784)]
        sequential(*small, layers.Reshape((28, 28, 1))).save(self.folder / "m.keras")
        self.run_script("from-keras", "m.keras", "m.pt")
        model = tomllib.loads((self.folder / "m.toml").read_text())["model"]
        self.assertEqual([entry["layer"] for entry in model["encoder"]], ["Flatten", "Dense", "ReLU"])

    def test_an_encoder_and_a_decoder_in_models_of_their_own_are_unpacked(self) -> None:
        inputs = keras.Input((28, 28, 1))
        encoder = keras.Sequential([keras.Input((28, 28, 1)), layers.Conv2D(2, 3, strides=2, padding="same")])
        decoder = keras.Sequential([keras.Input((14, 14, 2)), layers.UpSampling2D(), layers.Conv2D(1, 1)])
        keras.Model(inputs, decoder(encoder(inputs))).save(self.folder / "m.keras")
        self.run_script("from-keras", "m.keras", "m.pt")
        self.assertEqual(list(checkpoint.read(self.folder / "m.pt").weights)[0], "encoder.conv2d.weight")

    def test_a_layer_that_convae_does_not_have_is_refused_by_name(self) -> None:
        self.assert_refused(sequential(layers.Reshape((28, 28)), layers.LSTM(4)), "LSTM")

    def test_options_that_convae_does_not_have_are_refused_by_name(self) -> None:
        for named, layer in {
            "dilation_rate": layers.Conv2D(1, 3, dilation_rate=2),
            "data_format": layers.Conv2D(1, 3, data_format="channels_first", padding="same"),
            "groups": layers.Conv2D(2, 3, groups=1, kernel_regularizer="l2"),
            "activation": layers.Conv2D(1, 3, activation="log_sigmoid"),
            "max_value": layers.ReLU(max_value=6),
            "interpolation": layers.UpSampling2D(interpolation="bicubic"),
            "axis": layers.BatchNormalization(axis=1),
            "trainable": layers.Conv2D(1, 3, trainable=False),
        }.items():
            with self.subTest(named):
                self.assert_refused(sequential(layer), {"groups": "kernel_regularizer"}.get(named, named))

    def test_a_branch_is_refused(self) -> None:
        inputs = keras.Input((28, 28, 1))
        branch = layers.Conv2D(1, 3, padding="same")(inputs)
        self.assert_refused(keras.Model(inputs, layers.Add()([inputs, branch])), "Add")

    def test_an_optimizer_and_a_loss_that_convae_does_not_have_are_refused_by_name(self) -> None:
        for options, named in (
            ({"optimizer": "nadam", "loss": "mse"}, "Nadam"),
            ({"optimizer": "adam", "loss": "huber"}, "huber"),
            ({"optimizer": "adam", "loss": keras.losses.BinaryCrossentropy(from_logits=True)}, "from_logits"),
            ({"optimizer": keras.optimizers.Adam(loss_scale_factor=2.0), "loss": "mse"}, "loss_scale_factor"),
        ):
            with self.subTest(named):
                model = sequential(layers.Conv2D(1, 1))
                model.compile(**options)
                self.assert_refused(model, named)

    def test_weights_of_another_model_are_refused(self) -> None:
        (self.folder / "rows.toml").write_text(ROWS)
        trained, _ = self.train("pictures", PICTURES)
        code, complaint = self.script("to-keras", str(trained), "x.keras", "--config", str(self.folder / "rows.toml"))
        self.assertEqual(code, 1)
        self.assertIn("is of another model", complaint)

    def train(self, name: str, text: str, *overrides: str):
        """One epoch of two steps; the checkpoint and the trace."""
        file, out, trace = self.folder / f"{name}.toml", self.folder / "run", self.folder / f"trace-{name}"
        file.write_text(text)
        arguments = ["--config", str(file), "--out", str(out), "--overwrite"]
        for argument in (*DATA, *overrides):
            arguments += ["--set", argument]
        if not trace.exists():
            arguments += ["--trace", str(trace)]
        self.convae(*arguments)
        return out / f"{name}.pt", read_trace(trace)

    def to_keras(self, trained: Path, name: str) -> keras.Model:
        self.run_script("to-keras", str(trained), f"{name}.keras")
        return keras.saving.load_model(self.folder / f"{name}.keras")

    def convaes_loss(self, name: str) -> float:
        printed = self.convae("evaluate", "--checkpoint", str(self.folder / name), "--set", DATA[1])
        line = next(line for line in printed.splitlines() if line.startswith("loss"))
        return float(line.split()[-1])

    def convae(self, *arguments: str) -> str:
        done = subprocess.run([CONVAE, *arguments], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def script(self, command: str, source: str, out: str, *options: str) -> tuple[int, str]:
        """Exit code and what it complained of; in this process, since importing Keras takes long."""
        paths = [str(self.folder / source), str(self.folder / out)]
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as complaints:
            code = keras_weights.main([command, *paths, *options])
        return code, complaints.getvalue()

    def run_script(self, command: str, source: str, out: str, *options: str) -> None:
        self.assertEqual(self.script(command, source, out, *options), (0, ""))

    def assert_refused(self, model: keras.Model, named: str) -> None:
        """In one sentence that has the word."""
        model.save(self.folder / "refused.keras")
        code, complaint = self.script("from-keras", "refused.keras", "refused.pt")
        self.assertEqual(code, 1)
        self.assertIn(named, complaint)
        self.assertEqual(len(complaint.splitlines()), 1)
        self.assertFalse((self.folder / "refused.pt").exists())

    def assert_equal(self, ours: np.ndarray, theirs: np.ndarray) -> None:
        self.assertLessEqual(float(np.abs(ours - theirs).max()), EQUAL)

    def assert_identical(self, one: Path, other: Path) -> None:
        before, after = checkpoint.read(one).weights, checkpoint.read(other).weights
        self.assertEqual(list(before), list(after))
        for name in before:
            self.assertEqual((before[name].dtype, before[name].tobytes()), (after[name].dtype, after[name].tobytes()))


def test_pictures() -> np.ndarray:
    return idx.scaled(idx.clean_bytes(Path("data/mnist"), "test", 32))


def sequential(*given: keras.layers.Layer) -> keras.Model:
    return keras.Sequential([keras.Input((28, 28, 1)), *given])


def keras_pictures() -> keras.Model:
    return built(PICTURES)


def keras_rows() -> keras.Model:
    return built(ROWS)


def built(text: str) -> keras.Model:
    """In Keras, as a user who has never heard of convae would have it."""
    from .model import build, compile_model

    experiment = config.experiment(tomllib.loads(text))
    model = build(experiment)
    compile_model(model, experiment)
    model.optimizer.build(model.trainable_variables)
    return model


def randomise(model: keras.Model) -> None:
    """Also the moving statistics and biases, which start as constants."""
    random = np.random.default_rng(5)
    model.set_weights([random.uniform(0.05, 0.5, weight.shape) * random.choice((-1, 1), weight.shape)
                       if weight.ndim > 1 else random.uniform(0.5, 1.5, weight.shape)
                       for weight in model.get_weights()])


if __name__ == "__main__":
    unittest.main(warnings="ignore")  # Keras on torch has some for NumPy 2
