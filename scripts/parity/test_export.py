"""Tests of `convae export` to Keras, and of the way there and back by `convae import`.

Every layer of the config language goes both ways. convae prints no outputs, so those of ours come from a trace.
"""

import os
import tomllib
import warnings
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from . import checkpoint, config, idx, keys
from .model import build, compile_model, keras_layer, schedule
from .program import reference
from .runs import read_trace
from .sandbox import DIGITS, Sandbox

EQUAL = 1e-6
"""float32, values in 0..1: some roundings, 6e-8 each."""
TEST = (f"data.dir={DIGITS}", "data.test_samples=32")
DATA = (*TEST, "data.train_samples=64", "train.device=cpu")
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


NOT_KERAS = ("Shared", "Sampling")
"""Entries that Keras has no layer for: another entry's layer, and the draw of a variational autoencoder."""
FIRST = {"filters": 3, "kernel_size": 3, "units": 3, "target_shape": [4, -1, 1], "rate": 0.5, "stddev": 0.5,
         "activation": "relu", "decay_steps": 4, "first_decay_steps": 4, "decay_rate": 0.5, "boundaries": [4],
         "values": [0.5, 0.25], "scale": 0.5, "dims": [2, 1, 3], "block_size": 2, "n": 2}
"""Of the keys that must be given."""


class KerasExport(Sandbox):
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

    def test_the_losses_options_are_keras_s(self) -> None:
        for loss, kind, options in (
            ('{ loss = "bce", label_smoothing = 0.25 }', "BinaryCrossentropy", {"label_smoothing": 0.25}),
            ('{ loss = "dice", axis = [0, -1] }', "Dice", {"axis": [0, -1]}),
            ('{ loss = "kld", reduction = "sum" }', "KLDivergence", {"reduction": "sum"}),
            ('{ loss = "tversky", alpha = 0.25, axis = 0 }', "Tversky", {"alpha": 0.25, "beta": 0.5, "axis": 0}),
        ):
            with self.subTest(loss):
                model = self.to_keras(self.train("rows", ROWS, f"train.loss={loss}")[0], "rows")
                self.assertEqual(type(model.loss).__name__, kind)
                written = model.loss.get_config()
                self.assertEqual({key: written[key] for key in options}, options)
                model.fit(test_pictures(), test_pictures(), verbose=0)

    def test_keras_warns_of_nothing_when_it_opens_the_file(self) -> None:
        for optimizer in ('{ name = "Adam", amsgrad = true, use_ema = true }', '{ name = "SGD" }',
                          '{ name = "RMSprop", momentum = 0.5, centered = true }', '{ name = "Adadelta" }',
                          '{ name = "Nadam" }', '{ name = "Adagrad" }', '{ name = "Ftrl" }',
                          '{ name = "Adafactor" }', '{ name = "Muon" }', '{ name = "Muon", exclude_layers = ["dense"] }',
                          '{ name = "AdamW", gradient_accumulation_steps = 2 }'):
            with self.subTest(optimizer), warnings.catch_warnings():
                warnings.simplefilter("error", UserWarning)
                self.to_keras(self.train("rows", ROWS, f"train.optimizer={optimizer}")[0], "rows")

    def test_weights_alone_are_loaded_by_keras(self) -> None:
        trained, _ = self.train("pictures", PICTURES)
        model = self.to_keras(trained, "pictures")
        expected = model.get_weights()
        model.set_weights([weight * 0 for weight in expected])
        self.convae("export", trained, "--out", self.folder / "pictures.h5")
        model.load_weights(self.folder / "pictures.h5")
        for one, other in zip(expected, model.get_weights(), strict=True):
            self.assertEqual(one.tobytes(), other.tobytes())

    def test_a_round_trip_from_convae_is_bit_identical(self) -> None:
        for name, text, code in (("pictures", PICTURES, "leaky_re_lu"), ("rows", ROWS, "dense_1")):
            with self.subTest(name):
                trained, _ = self.train(name, text)
                self.to_keras(trained, name)
                self.import_(f"{name}.keras", "--name", "back", "--code", code)
                self.assert_identical(trained, self.folder / "back.pt")

    def test_a_round_trip_from_keras_is_bit_identical(self) -> None:
        model = keras_pictures()
        randomise(model)
        model.save(self.folder / "there.keras")
        self.import_("there.keras")
        back = self.to_keras(self.folder / "there.pt", "back")
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
        self.import_("there.keras")
        back = self.to_keras(self.folder / "there.pt", "back")
        options = [one.optimizer.get_config() | {"name": ""} for one in (model, back)]
        self.assertEqual(*options)

    def test_a_checkpoint_in_safetensors_gives_the_same_model(self) -> None:
        trained, _ = self.train("rows", ROWS, "output.safetensors=true")
        models = [self.to_keras(trained.with_suffix(ending), "rows") for ending in (".pt", ".safetensors")]
        for one, other in zip(*(model.get_weights() for model in models), strict=True):
            self.assertEqual(one.tobytes(), other.tobytes())

    def test_keras_builds_every_layer_optimizer_and_schedule_with_every_key_of_the_reference(self) -> None:
        def options(member: dict) -> dict:
            given = {key["name"]: FIRST[key["name"]] if key["required"] else key["default"] for key in member["keys"]}
            return {key: value for key, value in given.items() if value is not None}

        own = {name: member for name, member in keys.members("model.encoder[]").items() if name not in NOT_KERAS}
        for name, member in own.items():
            with self.subTest(name):
                keras_layer(config.Layer(name, "encoder", "one", options(member)))
        for name, member in keys.members("train.optimizer").items():
            with self.subTest(name):
                found = getattr(keras.optimizers, name)(**options(member)).get_config()
                self.assertLessEqual({key["name"] for key in member["keys"]}, found.keys())
        for name, member in keys.members("train.learning_rate_schedule").items():
            with self.subTest(name):
                schedule(0.5, {"name": name} | options(member))
        self.assertEqual(reference()["train.optimizer"]["by"], "name")

    def test_what_a_keras_model_has_no_place_for_is_said(self) -> None:
        trained, _ = self.train("rows", ROWS, "train.warmup_steps=2", "train.early_stopping={}")
        said = self.convae("export", trained, "--out", self.folder / "rows.keras")
        self.assertIn("train.warmup_steps is left out", said)
        self.assertIn("train.early_stopping is left out", said)

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

    def import_(self, file: str, *options: str) -> None:
        self.convae("import", self.folder / file, "--out", self.folder, "--overwrite", *options)

    def to_keras(self, trained: Path, name: str) -> keras.Model:
        self.convae("export", trained, "--out", self.folder / f"{name}.keras", "--overwrite")
        return keras.saving.load_model(self.folder / f"{name}.keras")

    def assert_equal(self, ours: np.ndarray, theirs: np.ndarray) -> None:
        self.assertLessEqual(float(np.abs(ours - theirs).max()), EQUAL)

    def assert_identical(self, one: Path, other: Path) -> None:
        before, after = checkpoint.read(one).weights, checkpoint.read(other).weights
        self.assertEqual(list(before), list(after))
        for name in before:
            self.assertEqual((before[name].dtype, before[name].tobytes()), (after[name].dtype, after[name].tobytes()))


def test_pictures() -> np.ndarray:
    return idx.scaled(idx.clean_bytes(DIGITS, "test", 32))


def sequential(*given: keras.layers.Layer) -> keras.Model:
    return keras.Sequential([keras.Input((28, 28, 1)), *given])


def keras_pictures() -> keras.Model:
    return built(PICTURES)


def keras_rows() -> keras.Model:
    return built(ROWS)


def built(text: str) -> keras.Model:
    """In Keras, as a user who has never heard of convae would have it."""
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
