"""Tests of scripts/keras_weights.py, which needs Keras.

Every layer of the config language goes both ways. convae prints no outputs, so those of ours come
from a trace and those of Keras's weights are compared by the loss that `convae evaluate` prints.
"""

import io
import json
import os
import tomllib
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import h5py
import keras
import numpy as np
import torch
import keras_weights
from keras import layers

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


FIRST = {"filters": 3, "kernel_size": 3, "units": 3, "target_shape": [4, -1, 1], "rate": 0.5, "stddev": 0.5,
         "activation": "relu", "decay_steps": 4, "first_decay_steps": 4, "decay_rate": 0.5, "boundaries": [4],
         "values": [0.5, 0.25]}
"""Of the keys that must be given."""


class KerasWeights(Sandbox):
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

    def test_where_no_layer_is_smaller_than_the_image_the_code_is_what_the_last_downsampling_gives(self) -> None:
        """The tutorial's denoiser: 7x7x32 values of code for 784 of image, and 7 x 7 is said."""
        model = sequential(
            layers.Conv2D(32, 3, padding="same", activation="relu"), layers.MaxPooling2D(),
            layers.Conv2D(32, 3, padding="same"), layers.MaxPooling2D(name="small"), layers.ReLU(name="code"),
            layers.Conv2D(32, 3, padding="same", activation="relu"), layers.UpSampling2D(),
            layers.Conv2D(32, 3, padding="same", activation="relu", name="other"), layers.UpSampling2D(),
            layers.Conv2D(1, 3, padding="same", activation="sigmoid"),
        )
        randomise(model)
        model.save(self.folder / "m.keras")
        for options, named, shape in (((), "code", (7, 7, 32)), (("--code", "other"), "other", (14, 14, 32))):
            with self.subTest(named):
                said = self.run_script("from-keras", "m.keras", "m.pt", *options)
                self.assertIn(f"the code is what {named} gives ({' x '.join(map(str, shape))})", said)
                expected = keras.Model(model.inputs, model.get_layer(named).output).predict(test_pictures(), verbose=0)
                found = self.codes("m.pt")
                self.assertEqual(found.shape, (32, *shape))
                self.assertLessEqual(float(np.abs(found - expected).max() / np.abs(expected).max()), EQUAL)

    def test_a_model_that_never_downsamples_is_all_encoder_and_that_is_said(self) -> None:
        model = sequential(layers.Conv2D(4, 3, padding="same", name="first"), layers.Conv2D(1, 3, padding="same"))
        model.save(self.folder / "m.keras")
        self.assertIn("the whole model, as no layer gives fewer than the image's 784 values, and none downsamples",
                      self.run_script("from-keras", "m.keras", "m.pt"))
        self.assertEqual(self.codes("m.pt").shape, (32, 28, 28, 1))
        self.run_script("from-keras", "m.keras", "m.pt", "--code", "first")
        self.assertEqual(self.codes("m.pt").shape, (32, 28, 28, 4))
        code, complaint = self.script("from-keras", "m.keras", "m.pt", "--code", "second")
        self.assertEqual((code, "there is no layer second" in complaint), (1, True))

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
            "groups": layers.Conv2D(4, 3, groups=2),
            "activation": layers.Conv2D(1, 3, activation="log_sigmoid"),
            "max_value": layers.ReLU(max_value=6),
            "interpolation": layers.UpSampling2D(interpolation="bicubic"),
            "axis": layers.BatchNormalization(axis=1),
            "trainable": layers.Conv2D(1, 3, trainable=False),
            "kernel_regularizer": layers.Conv2D(1, 3, kernel_regularizer="l2"),
            "activity_regularizer": layers.Conv2D(1, 3, activity_regularizer="l1"),
            "kernel_constraint": layers.Dense(1, kernel_constraint="non_neg"),
            "bias_constraint": layers.Dense(1, bias_constraint="max_norm"),
            "gamma_regularizer": layers.BatchNormalization(gamma_regularizer="l2"),
            "renorm": layers.BatchNormalization(renorm=True),
            "noise_shape": layers.Dropout(0.2, noise_shape=(None, 1, 1, 1)),
            "negative_slope": layers.ReLU(negative_slope=0.1),
            "threshold": layers.ReLU(threshold=0.5),
            "mixed_float16": layers.Conv2D(1, 3, dtype="mixed_float16"),
            "float32 and float64": layers.Conv2D(1, 3, dtype="float64"),
            "output_padding": layers.Conv2DTranspose(1, 3, strides=2, output_padding=1),
        }.items():
            with self.subTest(named):
                self.assert_refused(sequential(layers.Conv2D(4, 1), layer, layers.Conv2D(1, 1)), named)

    def test_an_activation_is_keras_own_function_and_not_one_of_its_name(self) -> None:
        @keras.saving.register_keras_serializable("tests")
        def relu(x):
            return -x

        for named, given in (("'relu'", relu), ("LeakyReLU", layers.LeakyReLU(0.1))):
            with self.subTest(named):
                self.assert_refused(sequential(layers.Conv2D(1, 1, activation=given)), named)

    def test_a_layer_is_keras_own_class_and_not_one_of_its_name(self) -> None:
        @keras.saving.register_keras_serializable("tests")
        class Dense(layers.Dense):
            def call(self, inputs):
                return -super().call(inputs)

        self.assert_refused(sequential(Dense(1)), "is a Dense")

    def test_a_layer_that_is_called_in_training_mode_always_is_refused(self) -> None:
        inputs = keras.Input((28, 28, 1))
        self.assert_refused(keras.Model(inputs, layers.Dropout(0.5)(inputs, training=True)), "training = True")

    def test_the_slope_of_a_leaky_relu_and_the_options_of_a_normalization_are_taken_along(self) -> None:
        sequential(layers.LeakyReLU(0.125), layers.BatchNormalization(momentum=0.75, epsilon=0.25, center=False),
                   layers.LeakyReLU()).save(self.folder / "m.keras")
        self.run_script("from-keras", "m.keras", "m.pt")
        parts = tomllib.loads((self.folder / "m.toml").read_text())["model"]
        self.assertEqual(parts["encoder"] + parts["decoder"], [
            {"layer": "LeakyReLU", "negative_slope": 0.125},
            {"layer": "BatchNormalization", "momentum": 0.75, "epsilon": 0.25, "center": False, "scale": True},
            {"layer": "LeakyReLU", "negative_slope": 0.3},
        ])

    def test_an_initializer_that_is_left_out_is_said(self) -> None:
        sequential(layers.Conv2D(1, 1, kernel_initializer="he_normal", name="kept"),
                   layers.Conv2D(1, 1, kernel_initializer="orthogonal", name="left"),
                   layers.Conv2D(1, 1, bias_initializer="ones", name="one")).save(self.folder / "m.keras")
        said = self.run_script("from-keras", "m.keras", "m.pt")
        self.assertIn("the layer left has kernel_initializer = Orthogonal, which is left out", said)
        self.assertIn("the layer one has bias_initializer = Ones, which is left out", said)
        self.assertNotIn("the layer kept", said)
        self.assertIn('kernel_initializer = "he_normal"', (self.folder / "m.toml").read_text())

    def test_weights_that_are_not_finite_are_refused(self) -> None:
        model = sequential(layers.Conv2D(1, 1, name="broken"))
        model.set_weights([np.full((1, 1, 1, 1), np.nan), np.zeros(1)])
        self.assert_refused(model, "broken/kernel")

    def test_a_model_whose_output_has_another_shape_is_refused_in_convaes_words(self) -> None:
        self.assert_refused(sequential(layers.Conv2D(1, 3)), "ends in 26x26x1")

    def test_a_model_of_open_size_is_refused_with_the_remedy(self) -> None:
        for shape in ((None, None, 1), (28, None, 1), (28, 28, None)):
            with self.subTest(shape):
                model = keras.Sequential([keras.Input(shape), layers.LeakyReLU(0.1)])
                self.assert_refused(model, "build the model with keras.Input((height, width, channels))")

    def test_a_branch_is_refused(self) -> None:
        inputs = keras.Input((28, 28, 1))
        branch = layers.Conv2D(1, 3, padding="same")(inputs)
        self.assert_refused(keras.Model(inputs, layers.Add()([inputs, branch])), "Add")

    def test_an_optimizer_and_a_loss_that_convae_does_not_have_are_refused_by_name(self) -> None:
        loss = keras.losses.MeanSquaredError()  # as "mse" Keras itself opens no .h5
        for options, named in (
            ({"optimizer": "nadam", "loss": loss}, "Nadam"),
            ({"optimizer": "adam", "loss": keras.losses.Huber()}, "Huber"),
            ({"optimizer": "adam", "loss": keras.losses.BinaryCrossentropy(from_logits=True)}, "from_logits"),
            ({"optimizer": keras.optimizers.Adam(loss_scale_factor=2.0), "loss": loss}, "loss_scale_factor"),
            ({"optimizer": "adam", "loss": keras.losses.BinaryCrossentropy(label_smoothing=0.1)}, "label_smoothing"),
            ({"optimizer": "adam", "loss": keras.losses.MeanSquaredError(reduction="sum")}, "reduction"),
            ({"optimizer": "adam", "loss": [loss]}, "a list"),
        ):
            for ending in (".keras", ".h5"):
                with self.subTest(named + ending):
                    self.assert_refused(compiled(**options), named, ending)

    def test_what_weighs_the_loss_is_refused_by_name(self) -> None:
        """A weight of 1 is none."""
        loss = keras.losses.MeanSquaredError()
        for options, named in (
            ({"loss_weights": [2.0]}, "loss_weights"),
            ({"loss_weights": 0.5}, "loss_weights"),
            ({"weighted_metrics": ["mse"]}, "weighted_metrics"),
        ):
            with self.subTest(named):
                self.assert_refused(compiled(optimizer="adam", loss=loss, **options), named)
        for ending in (".keras", ".h5"):
            compiled(optimizer="adam", loss=loss, loss_weights=[1.0]).save(self.folder / f"m{ending}")
            self.run_script("from-keras", f"m{ending}", "m.pt")

    def test_what_only_the_file_still_says_of_training_is_refused_by_name(self) -> None:
        """Keras 2 had these, and Keras 3 drops them without a word when it opens the file."""
        for named, edit in {
            "sample_weight_mode": lambda record: record.update(sample_weight_mode="temporal"),
            "decay = 0.25": lambda record: record["optimizer_config"]["config"].update(decay=0.25),
        }.items():
            def in_file(file: Path, edit=edit) -> None:
                with h5py.File(file, "r+") as archive:
                    record = json.loads(archive.attrs["training_config"])
                    edit(record)
                    archive.attrs["training_config"] = json.dumps(record)

            with self.subTest(named):
                model = compiled(optimizer="sgd", loss=keras.losses.MeanSquaredError())
                self.assert_refused(model, named, ".h5", in_file)

    def test_a_loss_is_what_its_class_says_whatever_its_name(self) -> None:
        named = keras.losses.Huber(name="mean_squared_error")
        self.assert_refused(compiled(optimizer="adam", loss=named), "Huber")
        loss = keras.losses.MeanAbsoluteError(name="mean_squared_error")
        compiled(optimizer="adam", loss=loss).save(self.folder / "m.keras")
        self.run_script("from-keras", "m.keras", "m.pt")
        self.assertEqual(tomllib.loads((self.folder / "m.toml").read_text())["train"]["loss"], "mean_absolute_error")

    def test_an_optimizers_options_are_taken_along(self) -> None:
        given = {"learning_rate": 0.25, "weight_decay": 0.125, "global_clipnorm": 2.0, "use_ema": True,
                 "ema_momentum": 0.5, "ema_overwrite_frequency": 7, "amsgrad": True, "epsilon": 0.0625,
                 "beta_1": 0.75, "beta_2": 0.875, "gradient_accumulation_steps": 3}
        compiled(optimizer=keras.optimizers.AdamW(**given), loss="mse").save(self.folder / "m.keras")
        self.run_script("from-keras", "m.keras", "m.pt")
        train = tomllib.loads((self.folder / "m.toml").read_text())["train"]
        self.assertEqual(train["optimizer"], {"name": "AdamW"} | given)

    def test_a_value_that_convae_does_not_take_is_refused_in_its_words(self) -> None:
        self.assert_refused(compiled(optimizer=keras.optimizers.SGD(5000.0), loss="mse"), "learning_rate` is 5000")

    def test_keras_builds_every_layer_optimizer_and_schedule_with_every_key_of_the_reference(self) -> None:
        def options(member: dict) -> dict:
            given = {key["name"]: FIRST[key["name"]] if key["required"] else key["default"] for key in member["keys"]}
            return {key: value for key, value in given.items() if value is not None}

        for name, member in keys.members("model.encoder[]").items():
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
        said = self.run_script("to-keras", str(trained), "rows.keras")
        self.assertIn("train.warmup_steps is left out", said)
        self.assertIn("train.early_stopping is left out", said)

    def test_a_file_that_cannot_be_written_is_refused_in_a_sentence(self) -> None:
        sequential(layers.Conv2D(1, 1)).save(self.folder / "m.keras")
        self.run_script("from-keras", "m.keras", "m.pt")
        for command, source, out in (("from-keras", "m.keras", "no/m.pt"), ("to-keras", "m.pt", "no/m.keras"),
                                     ("from-keras", "m.keras", "m.npz"), ("to-keras", "m.pt", "m.h5")):
            with self.subTest(out):
                code, complaint = self.script(command, source, out)
                self.assertEqual((code, len(complaint.splitlines())), (1, 1))
                self.assertRegex(complaint, "cannot be written|does not end in")

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
        sets = [word for argument in TEST for word in ("--set", argument)]
        printed = self.convae("evaluate", "--checkpoint", str(self.folder / name), *sets)
        line = next(line for line in printed.splitlines() if line.startswith("loss"))
        return float(line.split()[-1])

    def codes(self, name: str) -> np.ndarray:
        """What `convae encode` gives for the test digits."""
        sets = [word for argument in TEST for word in ("--set", argument)]
        out = self.folder / "codes.npz"
        self.convae("encode", "--checkpoint", self.folder / name, "--out", out, "--overwrite", *sets)
        with np.load(out) as arrays:
            return arrays["codes"]

    def script(self, command: str, source: str, out: str, *options: str) -> tuple[int, str]:
        """Exit code and what it complained of; in this process, since importing Keras takes long."""
        paths = [str(self.folder / source), str(self.folder / out)]
        with (redirect_stdout(io.StringIO()) as self.printed, redirect_stderr(io.StringIO()) as complaints,
              warnings.catch_warnings()):
            warnings.simplefilter("ignore")  # Keras on torch has some for NumPy 2
            code = keras_weights.main([command, *paths, *options])
        return code, complaints.getvalue()

    def run_script(self, command: str, source: str, out: str, *options: str) -> str:
        """What it prints."""
        self.assertEqual(self.script(command, source, out, *options), (0, ""))
        return self.printed.getvalue()

    def assert_refused(self, model: keras.Model, named: str, ending: str = ".keras", edit=None) -> None:
        """In one sentence that has the word; `edit` changes the file first."""
        file = self.folder / f"refused{ending}"
        model.save(file)
        if edit:
            edit(file)
        code, complaint = self.script("from-keras", file.name, "refused.pt")
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
    return idx.scaled(idx.clean_bytes(DIGITS, "test", 32))


def sequential(*given: keras.layers.Layer) -> keras.Model:
    return keras.Sequential([keras.Input((28, 28, 1)), *given])


def compiled(**options) -> keras.Model:
    model = sequential(layers.Conv2D(1, 1))
    model.compile(**options)
    model.optimizer.build(model.trainable_variables)
    return model


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
