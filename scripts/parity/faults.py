"""Mistakes that the comparison must find, each planted on one side. Nothing here runs unless
`--plant NAME` asks for it, which only plants.py does.

Functions that touch Keras import it themselves: the driver, which has no Keras, reads this too.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import numpy as np
from safetensors.numpy import load_file, save_file

from . import config, layouts


@dataclass(frozen=True)
class Fault:
    """A mistake, where it shows, and what must be said of it."""

    description: str
    named: str
    """Words that the culprit's sentence must have."""
    config: str = "plain.toml"
    overrides: tuple[str, ...] = ()
    for_convae: tuple[str, ...] = ()
    """`--set` that convae gets and the reference does not."""
    keras: Callable[[], None] | None = None
    """Planted in the child process."""
    trace: Callable[[Path], None] | None = None
    """Planted in what convae wrote."""


def plant_in_keras(name: str | None) -> None:
    if name and FAULTS[name].keras:
        FAULTS[name].keras()


def patch_trace(name: str | None, trace: Path) -> None:
    if name and FAULTS[name].trace:
        FAULTS[name].trace(trace)


def overrides_for_convae(name: str | None) -> list[str]:
    return list(FAULTS[name].for_convae) if name else []


def _libtorch_adam() -> None:
    """libtorch corrects the second moment before it adds epsilon, which is 1e-8 there."""
    import keras

    def update_step(self: Any, gradient: Any, variable: Any, learning_rate: Any) -> None:
        ops, dtype = keras.ops, variable.dtype
        step = ops.cast(self.iterations + 1, dtype)
        index = self._get_variable_index(variable)
        m, v = self._momentums[index], self._velocities[index]
        self.assign_add(m, (gradient - m) * (1 - self.beta_1))
        self.assign_add(v, (ops.square(gradient) - v) * (1 - self.beta_2))
        m_hat = m / (1 - ops.power(ops.cast(self.beta_1, dtype), step))
        v_hat = v / (1 - ops.power(ops.cast(self.beta_2, dtype), step))
        rate = ops.cast(learning_rate, dtype)
        self.assign_sub(variable, rate * m_hat / (ops.sqrt(v_hat) + 1e-8))

    keras.optimizers.Adam.update_step = update_step


def _same_padding_on_the_other_side() -> None:
    """Turning picture and kernel by half a circle turns the padding with them."""
    import keras

    def call(self: Any, x: Any) -> Any:
        ops = keras.ops
        kernel = ops.flip(self.kernel, (0, 1))
        y = ops.conv(ops.flip(x, (1, 2)), kernel, strides=self.strides, padding=self.padding)
        return self.activation(ops.flip(y, (1, 2)) + self.bias)

    keras.layers.Conv2D.call = call


def _transposed_kernel() -> None:
    """Height and width of a kernel change places on the way to Keras."""
    layouts._KERNEL_AXES["Conv2D"] = (3, 2, 1, 0)


def _unbiased_variance() -> None:
    """The moving variance follows the unbiased variance of the batch, as in libtorch."""
    import keras

    biased = keras.layers.BatchNormalization.call

    def call(self: Any, x: Any, training: Any = None, mask: Any = None) -> Any:
        before = keras.ops.convert_to_tensor(self.moving_variance)
        y = biased(self, x, training=training, mask=mask)
        if training:
            count = math.prod(keras.ops.shape(x)[:-1])
            added = self.moving_variance - before * self.momentum
            self.moving_variance.assign(before * self.momentum + added * (count / (count - 1)))
        return y

    keras.layers.BatchNormalization.call = call


def _subtract_the_other_way() -> None:
    """The second input less the first."""
    import keras

    keras.layers.Subtract._merge_function = lambda self, inputs: keras.ops.subtract(inputs[1], inputs[0])


def _edit_initial_weights(trace: Path, edit: Callable[[str, np.ndarray, dict], np.ndarray]) -> None:
    file = trace / "weights_initial.safetensors"
    weights = load_file(file)
    save_file({name: edit(name, array, weights).astype(array.dtype) for name, array in weights.items()}, file)


def _fans_of_the_wrong_axes(trace: Path) -> None:
    """Glorot's fans read off PyTorch's layout as if it were Keras's: (out, in, h, w) for (h, w, in, out)."""

    def edit(name: str, array: np.ndarray, weights: dict) -> np.ndarray:
        if array.ndim != 4:
            return array
        out, inputs, height, width = array.shape
        right, wrong = height * width * (inputs + out), out * inputs * (height + width)
        return array * math.sqrt(right / wrong)

    _edit_initial_weights(trace, edit)


def _swapped_fans(trace: Path) -> None:
    """Fan in and fan out change places. Glorot takes their sum and would not notice; He does."""

    def edit(name: str, array: np.ndarray, weights: dict) -> np.ndarray:
        return array * math.sqrt(array.shape[1] / array.shape[0]) if array.ndim == 4 else array

    _edit_initial_weights(trace, edit)


def _uniform_bias(trace: Path) -> None:
    """As PyTorch starts a bias."""
    random = np.random.default_rng(0)

    def edit(name: str, array: np.ndarray, weights: dict) -> np.ndarray:
        if not name.endswith(".bias"):
            return array
        limit = 1 / math.sqrt(weights[name.replace(".bias", ".weight")][0].size)
        return random.uniform(-limit, limit, array.shape)

    _edit_initial_weights(trace, edit)


def _unweighted_mean(trace: Path) -> None:
    """The last, smaller batch counts as much as the others."""
    file = trace / "trace.json"
    record = json.loads(file.read_text())
    record["epoch_losses"] = [float(np.mean(losses)) for losses in record["losses"]]
    file.write_text(json.dumps(record))


HE = tuple(f"model.encoder[{index}].kernel_initializer=he_uniform" for index in (0, 2, 4))
FAULTS = {
    "adam": Fault(
        "Adam as in libtorch: epsilon 1e-8, beside the corrected root",
        "the optimizer", keras=_libtorch_adam),
    "same-padding": Fault(
        "`same` padding with its odd pixel on the left and top",
        "encoder.conv2d_1", config="strided.toml", keras=_same_padding_on_the_other_side),
    "wrong-fans": Fault(
        "Glorot with the fans of PyTorch's layout",
        "not glorot_uniform", trace=_fans_of_the_wrong_axes),
    "swapped-fans": Fault(
        "He with fan in and fan out swapped",
        "not he_uniform", overrides=HE, trace=_swapped_fans),
    "uniform-bias": Fault(
        "biases drawn from a uniform",
        "bias: it is not 0 everywhere", trace=_uniform_bias),
    "unweighted-mean": Fault(
        "the epoch's loss as the plain mean over batches",
        "the epoch's mean", overrides=("data.train_samples=324",), trace=_unweighted_mean),
    "late-clip": Fault(
        "noise that is clipped after the model, not before",
        "the corrupted inputs: clip", config="denoise.toml", for_convae=("corruption.clip=false",)),
    "transposed-kernel": Fault(
        "a kernel with height and width swapped",
        "encoder.conv2d", keras=_transposed_kernel),
    "merge-order": Fault(
        "a merge with its inputs swapped",
        "decoder.subtract", config="unet.toml", keras=_subtract_the_other_way),
    "unbiased-variance": Fault(
        "batch normalization that keeps the unbiased variance",
        "running_var", config="norm.toml", keras=_unbiased_variance),
}
