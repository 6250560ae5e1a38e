"""Tests of `convae import` on what today's Keras writes: every layer of the config language, every option that
changes what is computed, and the training state.

convae prints no outputs, so they are compared by the loss that `convae evaluate` prints.
"""

import json
import os
import subprocess
import tomllib
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import h5py
import keras
import numpy as np
import torch
from keras import layers
from keras.regularizers import L2

from . import program
from .sandbox import DIGITS, Sandbox
from .test_export import EQUAL, TEST, keras_pictures, keras_rows, randomise, sequential, test_pictures

PRINTED = 1e-5
"""Of a loss above 1, of which `convae evaluate` prints six digits."""


class KerasImport(Sandbox):
    def test_convae_opens_what_keras_trained(self) -> None:
        for name, model in (("pictures", keras_pictures()), ("rows", keras_rows())):
            for ending in (".keras", ".h5"):
                with self.subTest(name + ending):
                    randomise(model)
                    self.opened(model, ending)
                    expected = model.evaluate(test_pictures(), test_pictures(), verbose=0)
                    self.assertAlmostEqual(self.convaes_loss(), expected, delta=EQUAL)

    def test_a_graph_with_shared_layers_inner_models_and_operations_agrees(self) -> None:
        for ending in (".keras", ".h5"):
            with self.subTest(ending):
                model = graph()
                randomise(model)
                self.opened(model, ending)
                model.compile("adam", "mse")
                expected = model.evaluate(test_pictures(), test_pictures(), verbose=0)
                self.assertAlmostEqual(self.convaes_loss() / expected, 1.0, delta=PRINTED)

    def test_training_goes_on_as_fit_would(self) -> None:
        """Two epochs in Keras, then two more on each side."""
        optimizers, schedules = keras.optimizers, keras.optimizers.schedules
        for name, make in {
            "adam": lambda: optimizers.Adam(1e-3, amsgrad=True),
            "momentum": lambda: optimizers.SGD(0.001, momentum=0.9, nesterov=True),
            "schedule": lambda: optimizers.SGD(schedules.ExponentialDecay(0.01, 4, 0.5)),
            "rmsprop": lambda: optimizers.RMSprop(1e-3, momentum=0.5, centered=True),
            "adadelta": lambda: optimizers.Adadelta(1.0),
            "nadam": lambda: optimizers.Nadam(1e-3),
            "adamax": lambda: optimizers.Adamax(1e-3),
            "adagrad": lambda: optimizers.Adagrad(1e-2),
            "lion": lambda: optimizers.Lion(1e-4),
            "lamb": lambda: optimizers.Lamb(1e-3),
            "ftrl": lambda: optimizers.Ftrl(1e-2),
            "adafactor": lambda: optimizers.Adafactor(1e-2),
            "muon": lambda: optimizers.Muon(1e-2, exclude_layers=["conv2d"]),
        }.items():
            # Keras gives two buffers of Adafactor one name, with which it writes no .h5.
            for ending in (".keras",) if name == "adafactor" else (".keras", ".h5"):
                with self.subTest(name + ending):
                    model = sequential(layers.Conv2D(4, 3, padding="same", activation="tanh"),
                                       layers.BatchNormalization(), layers.Dense(3), layers.Conv2D(1, 3, padding="same"))
                    model.compile(make(), keras.losses.MeanSquaredError())
                    given = dict(x=test_pictures(), y=test_pictures(), batch_size=8, epochs=2, shuffle=False, verbose=0)
                    model.fit(**given)
                    self.opened(model, ending)
                    expected = model.fit(**given).history["loss"]
                    self.assertLessEqual(np.abs(np.array(self.losses()) / expected - 1).max(), 2e-5)

    def test_torch_and_convae_open_the_file_without_a_config(self) -> None:
        self.opened(keras_rows())
        weights = torch.load(self.folder / "m.pt", weights_only=True)
        self.assertIn("encoder.dense.weight", weights)
        summary = self.convae("summary", "--checkpoint", self.folder / "m.pt")
        self.assertIn("batch_normalization", summary)
        self.convae("summary", "--config", self.folder / "m.toml")

    def test_an_activation_after_the_smallest_layer_belongs_to_the_code(self) -> None:
        small = [layers.Flatten(), layers.Dense(8), layers.ReLU(), layers.Dense(8), layers.Dense(784)]
        self.opened(sequential(*small, layers.Reshape((28, 28, 1))))
        self.assertEqual([entry["layer"] for entry in self.config()["model"]["encoder"]], ["Flatten", "Dense", "ReLU"])

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
        for options, named, shape in (((), "code", (7, 7, 32)), (("--code", "other"), "other", (14, 14, 32))):
            with self.subTest(named):
                said = self.opened(model, ".keras", *options)
                self.assertIn(f"the code is what {named} gives ({' x '.join(map(str, shape))})", said)
                expected = keras.Model(model.inputs, model.get_layer(named).output).predict(test_pictures(), verbose=0)
                found = self.codes()
                self.assertEqual(found.shape, (32, *shape))
                self.assertLessEqual(float(np.abs(found - expected).max() / np.abs(expected).max()), EQUAL)

    def test_a_model_that_never_downsamples_has_no_code_unless_one_is_named(self) -> None:
        model = sequential(layers.Conv2D(4, 3, padding="same", name="first"), layers.Conv2D(1, 3, padding="same"))
        self.assertIn("no layer gives a code: --code LAYER names one", self.opened(model))
        self.opened(model, ".keras", "--code", "first")
        self.assertEqual(self.codes().shape, (32, 28, 28, 4))
        self.assert_refused(model, "which is no layer", ".keras", None, "--code", "second")

    def test_options_that_convae_does_not_have_are_refused_by_name(self) -> None:
        for named, layer in {
            "channels first": layers.Conv2D(1, 3, data_format="channels_first", padding="same"),
            "activation": layers.Conv2D(1, 3, activation="log_sigmoid"),
            "interpolation": layers.UpSampling2D(interpolation="bicubic"),
            "axis": layers.BatchNormalization(axis=1),
            "renorm": layers.BatchNormalization(renorm=True),
            "noise_shape": layers.Dropout(0.2, noise_shape=(None, 1, 1, 1)),
            "rms_scaling": layers.LayerNormalization(rms_scaling=True),
            "float64, others in float32": layers.Conv2D(1, 3, dtype="float64"),
            "output_padding": layers.Conv2DTranspose(1, 3, strides=2, output_padding=1),
        }.items():
            with self.subTest(named):
                self.assert_refused(sequential(layers.Conv2D(4, 1), layer, layers.Conv2D(1, 1)), named)

    def test_layers_that_convae_does_not_have_are_refused_all_at_once(self) -> None:
        model = sequential(layers.TimeDistributed(layers.LSTM(4), name="rows"), layers.Lambda(lambda x: x, name="own"),
                           layers.Dense(3))
        for named in ("rows (TimeDistributed) is a layer that convae does not have", "own (Lambda) is Python code"):
            self.assert_refused(model, named)

    def test_what_changes_training_alone_is_taken_over_or_left_behind_and_said(self) -> None:
        for said, layer in {
            "is frozen in the file": layers.Conv2D(1, 3, trainable=False),
            "moving_mean_initializer = Constant is left behind":
                layers.BatchNormalization(moving_mean_initializer=keras.initializers.Constant(2.0)),
            "mixed_float16 is left behind": layers.Conv2D(1, 3, dtype="mixed_float16"),
        }.items():
            with self.subTest(said):
                self.assertIn(said, self.opened(sequential(layers.Conv2D(4, 1), layer, layers.Conv2D(1, 1))))
        for written, layer in {
            'kernel_regularizer = { name = "L2", l2 = 0.25 }': layers.Conv2D(1, 3, kernel_regularizer=L2(0.25)),
            'activity_regularizer = { name = "L2", l2 = 0.25 }': layers.Conv2D(1, 3, activity_regularizer=L2(0.25)),
            'gamma_regularizer = { name = "L2", l2 = 0.25 }': layers.BatchNormalization(gamma_regularizer=L2(0.25)),
            'gamma_initializer = { name = "Constant", value = 2.0 }':
                layers.BatchNormalization(gamma_initializer=keras.initializers.Constant(2.0)),
            'beta_regularizer = { name = "L2", l2 = 0.25 }': layers.LayerNormalization(beta_regularizer=L2(0.25)),
            'gamma_constraint = "non_neg"': layers.GroupNormalization(1, gamma_constraint="non_neg"),
            'alpha_regularizer = { name = "L2", l2 = 0.25 }':
                layers.PReLU(shared_axes=[1, 2], alpha_regularizer=L2(0.25)),
            'alpha_constraint = "non_neg"': layers.PReLU(shared_axes=[1, 2], alpha_constraint="non_neg"),
            'kernel_constraint = "non_neg"': layers.Dense(1, kernel_constraint="non_neg"),
            'bias_constraint = { name = "MaxNorm", max_value = 2.0, axis = 0 }':
                layers.Dense(1, bias_constraint="max_norm"),
        }.items():
            with self.subTest(written):
                self.opened(sequential(layers.Conv2D(4, 1), layer, layers.Conv2D(1, 1)))
                self.assertIn(written, (self.folder / "m.toml").read_text())

    def test_a_policy_of_bfloat16_is_kept_where_all_layers_have_it(self) -> None:
        own = {"dtype": "mixed_bfloat16"}
        model = sequential(layers.Conv2D(4, 3, padding="same", activation="relu", **own),
                           layers.BatchNormalization(**own), layers.Conv2D(1, 3, padding="same", **own))
        randomise(model)
        self.opened(model)
        self.assertEqual(self.config()["train"]["dtype"], "mixed_bfloat16")
        model.compile("adam", "mse")
        expected = model.evaluate(test_pictures(), test_pictures(), verbose=0)
        # In software, where the processor does not compute it.
        loss = self.convaes_loss("train.engine=libtorch")
        self.assertAlmostEqual(loss / expected, 1.0, delta=2.0**-7)
        self.convae("export", self.folder / "m.pt", "--out", self.folder / "back.keras")
        back = keras.saving.load_model(self.folder / "back.keras")
        outputs = [each.predict(test_pictures(), verbose=0) for each in (model, back)]
        self.assertTrue(np.array_equal(*outputs))
        self.assertEqual(back.layers[-1].dtype_policy.name, "mixed_bfloat16")

    def test_activations_that_are_layers_become_what_they_are(self) -> None:
        model = sequential(layers.Conv2D(2, 1, activation=layers.LeakyReLU(0.125)), layers.ReLU(max_value=6),
                           layers.ReLU(negative_slope=0.25), layers.ELU(0.5), layers.Conv2D(1, 1),
                           layers.ReLU(max_value=5, threshold=0.5))
        randomise(model)
        self.opened(model)
        model.compile("adam", "mse")
        expected = model.evaluate(test_pictures(), test_pictures(), verbose=0)
        self.assertAlmostEqual(self.convaes_loss() / expected, 1.0, delta=PRINTED)

    def test_an_activation_is_keras_own_function_and_not_one_of_its_name(self) -> None:
        @keras.saving.register_keras_serializable("tests")
        def relu(x):
            return -x

        self.assert_refused(sequential(layers.Conv2D(1, 1, activation=relu)), "tests>relu")

    def test_a_layer_is_keras_own_class_and_not_one_of_its_name(self) -> None:
        @keras.saving.register_keras_serializable("tests")
        class Dense(layers.Dense):
            def call(self, inputs):
                return -super().call(inputs)

        self.assert_refused(sequential(Dense(1)), "(Dense) is a layer by a class of its own")

    def test_a_layer_that_is_called_in_training_mode_always_is_refused(self) -> None:
        inputs = keras.Input((28, 28, 1))
        self.assert_refused(keras.Model(inputs, layers.Dropout(0.5)(inputs, training=True)), "training = True")

    def test_the_slope_of_a_leaky_relu_and_the_options_of_a_normalization_are_taken_along(self) -> None:
        self.opened(sequential(layers.LeakyReLU(0.125, name="a"),
                               layers.BatchNormalization(momentum=0.75, epsilon=0.25, center=False, name="b"),
                               layers.LeakyReLU(name="c")))
        self.assertEqual(self.config()["model"]["layers"], [
            {"layer": "LeakyReLU", "name": "a", "negative_slope": 0.125},
            {"layer": "BatchNormalization", "name": "b", "momentum": 0.75, "epsilon": 0.25, "center": False,
             "scale": True, "beta_initializer": "zeros",
             "gamma_initializer": "ones"},
            {"layer": "LeakyReLU", "name": "c", "negative_slope": 0.3},
        ])

    def test_weights_that_are_not_finite_are_refused(self) -> None:
        for ending, weight in ((".keras", "layers/conv2d/vars/0"), (".h5", "/broken/kernel")):
            model = sequential(layers.Conv2D(1, 1, name="broken"))
            model.set_weights([np.full((1, 1, 1, 1), np.nan), np.zeros(1)])
            self.assert_refused(model, f"{weight}` holds NaN", ending)

    def test_models_of_open_size_and_of_another_output_are_opened(self) -> None:
        model = keras.Sequential([keras.Input((None, None, 5)), layers.Conv2D(2, 3), layers.Conv2D(7, 3)])
        self.opened(model)
        self.assertEqual(self.config()["model"]["input_shape"], [-1, -1, 5])

    def test_an_optimizer_and_a_loss_that_convae_does_not_have_are_said_and_left_behind(self) -> None:
        loss = keras.losses.MeanSquaredError()
        for options, said in (
            ({"optimizer": keras.optimizers.ScheduleFreeAdamW(), "loss": loss},
             "the optimizer, ScheduleFreeAdamW, is left behind"),
            ({"optimizer": "adam", "loss": keras.losses.Circle()}, "the loss, Circle, is none"),
            ({"optimizer": "adam", "loss": keras.losses.BinaryCrossentropy(axis=1)}, "axis = 1"),
            ({"optimizer": keras.optimizers.Adam(loss_scale_factor=2.0), "loss": loss}, "loss_scale_factor = 2.0"),
            ({"optimizer": "adam", "loss": keras.losses.MeanSquaredError(reduction="none")}, 'reduction = "none"'),
            ({"optimizer": "adam", "loss": keras.losses.Circle(name="mean_squared_error")}, "the loss, Circle, is none"),
            ({"optimizer": "adam", "loss": loss, "loss_weights": [2.0]}, "loss_weights = [2.0]"),
            ({"optimizer": "adam", "loss": loss, "loss_weights": 0.5}, "loss_weights = 0.5"),
            ({"optimizer": "adam", "loss": loss, "weighted_metrics": ["mse"]}, "the metrics, mse, are left behind"),
            ({"optimizer": keras.optimizers.SGD(5000.0), "loss": loss}, "learning_rate` is 5000"),
        ):
            for ending in (".keras", ".h5"):
                with self.subTest(said + ending):
                    self.assertIn(said, self.opened(compiled(**options), ending))
                    known = "the loss" not in said and "=" not in said or "loss_scale" in said
                    if known:
                        self.assertEqual(self.config()["train"]["loss"], "mean_squared_error")
                    elif "metrics" not in said:
                        self.assertEqual(self.config()["train"]["loss"], "unknown")

    def test_losses_are_taken_over_with_their_options(self) -> None:
        for loss, table in (
            (keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.5),
             {"loss": "binary_crossentropy", "from_logits": True, "label_smoothing": 0.5}),
            (keras.losses.BinaryFocalCrossentropy(gamma=3.0), {"loss": "binary_focal_crossentropy", "gamma": 3.0}),
            (keras.losses.CategoricalCrossentropy(axis=1), {"loss": "categorical_crossentropy", "axis": 1}),
            (keras.losses.SparseCategoricalCrossentropy(), "sparse_categorical_crossentropy"),
            (keras.losses.Dice(), "dice"),
            (keras.losses.Dice(axis=(1, 2)), {"loss": "dice", "axis": [1, 2]}),
            (keras.losses.Tversky(alpha=0.25, axis=-1), {"loss": "tversky", "alpha": 0.25, "axis": -1}),
            (keras.losses.MeanSquaredError(reduction="sum"), {"loss": "mean_squared_error", "reduction": "sum"}),
        ):
            for ending in (".keras", ".h5"):
                with self.subTest(loss=loss.name, ending=ending):
                    self.opened(compiled(optimizer="adam", loss=loss), ending)
                    written = self.config()["train"]["loss"]
                    self.assertEqual(written if isinstance(table, str) else table | written, written)
                    if isinstance(table, str):
                        self.assertEqual(written, table)

    def test_what_keras_3_drops_of_older_files_is_looked_at(self) -> None:
        for said, edit in {
            "sample_weight_mode": lambda record: record.update(sample_weight_mode="temporal"),
            "InverseTimeDecay": lambda record: record["optimizer_config"]["config"].update(decay=0.25),
        }.items():
            with self.subTest(said):
                file = self.folder / "m.h5"
                compiled(optimizer="sgd", loss="mse").save(file)
                with h5py.File(file, "r+") as archive:
                    record = json.loads(archive.attrs["training_config"])
                    edit(record)
                    archive.attrs["training_config"] = json.dumps(record)
                self.assertIn(said, self.convae("import", file, "--out", self.folder, "--overwrite"))

    def test_an_optimizers_options_are_taken_along(self) -> None:
        given = {"learning_rate": 0.25, "weight_decay": 0.125, "global_clipnorm": 2.0, "use_ema": True,
                 "ema_momentum": 0.5, "ema_overwrite_frequency": 7, "amsgrad": True, "epsilon": 0.0625,
                 "beta_1": 0.75, "beta_2": 0.875, "gradient_accumulation_steps": 3}
        self.opened(compiled(optimizer=keras.optimizers.AdamW(**given), loss="mse"))
        self.assertEqual(self.config()["train"]["optimizer"], {"name": "AdamW"} | given)

    def opened(self, model: keras.Model, ending: str = ".keras", *options: str) -> str:
        """What is said of a model that opens."""
        file = self.folder / f"m{ending}"
        model.save(file)
        return self.convae("import", file, "--out", self.folder, "--overwrite", *options)

    def config(self) -> dict:
        return tomllib.loads((self.folder / "m.toml").read_text())

    def convaes_loss(self, *more: str) -> float:
        sets = [word for argument in (*TEST, *self.loss(), *more) for word in ("--set", argument)]
        printed = self.convae("evaluate", "--checkpoint", self.folder / "m.pt", *sets)
        line = next(line for line in printed.splitlines() if line.startswith("loss"))
        return float(line.split()[-1])

    def loss(self) -> tuple[str, ...]:
        """The square error where the file says none."""
        return ("train.loss=mse",) if self.config()["train"]["loss"] == "unknown" else ()

    def losses(self) -> list[float]:
        """Of two epochs on the test digits, in their order."""
        x = (test_pictures() * 255).round().astype(np.uint8)
        np.savez(self.folder / "digits.npz", x_train=x, x_test=x)
        arguments = ["data.kind=npz", f"data.file={self.folder}/digits.npz", "train.shuffle=false", "train.epochs=2",
                     "train.batch_size=8", "train.device=cpu", "output.report=false"]
        sets = [word for argument in arguments for word in ("--set", argument)]
        run = self.folder / "run"
        self.convae("--config", self.folder / "m.toml", "--out", run, "--overwrite", *sets)
        return [epoch["loss"] for epoch in json.loads((run / "history.json").read_text())["epochs"]]

    def codes(self) -> np.ndarray:
        """What `convae encode` gives for the test digits."""
        sets = [word for argument in TEST for word in ("--set", argument)]
        out = self.folder / "codes.npz"
        self.convae("encode", "--checkpoint", self.folder / "m.pt", "--out", out, "--overwrite", *sets)
        with np.load(out) as arrays:
            return arrays["codes"]

    def assert_refused(self, model: keras.Model, named: str, ending: str = ".keras", edit=None, *options: str) -> None:
        """With the word, and without a file."""
        file, out = self.folder / f"m{ending}", self.folder / "refused"
        model.save(file)
        done = subprocess.run([program.find(), "import", file, "--out", out, *options], capture_output=True, text=True)
        self.assertIn(done.returncode, (1, 2))
        self.assertIn(named, done.stderr)
        self.assertFalse(out.exists())


def compiled(**options) -> keras.Model:
    model = sequential(layers.Conv2D(1, 1))
    model.compile(**options)
    model.optimizer.build(model.trainable_variables)
    return model


def graph() -> keras.Model:
    """Skip connections, a model and a layer that are used twice, normalizations within, and operations."""
    inputs = keras.Input((28, 28, 1))
    inner = keras.Sequential([keras.Input((28, 28, 3)), layers.Conv2D(3, 3, padding="same", activation="relu"),
                              layers.BatchNormalization(), layers.Conv2D(3, 1)])
    deep = keras.Input((28, 28, 3))
    twice = keras.Model(deep, inner(layers.Add()([deep, inner(deep)])))
    shared = layers.Conv2D(3, 3, padding="same")
    first = layers.Conv2D(3, 3, padding="same", activation="tanh")(inputs)
    mixed = keras.ops.maximum(shared(first), twice(first)) - first
    both = layers.Concatenate()([layers.Multiply()([mixed, first]), shared(mixed), inputs])
    small = layers.AveragePooling2D(2)(both)
    large = layers.UpSampling2D()(small)
    sides = [layers.Average()([both, large]), layers.Minimum()([both, large])]
    return keras.Model(inputs, layers.Conv2D(1, 3, padding="same")(keras.ops.concatenate(sides, axis=-1)))
