"""Holds convae's run against its replays in Keras, bar by bar. Pure: runs in, rows out.

Quantities stand in the order in which a mistake would show: forward pass, gradient, one step, ten
steps, the epoch, the test set. So the first bar that is missed tells where to look.
"""

from dataclasses import dataclass, replace
from itertools import combinations
from typing import Callable

import numpy as np

from . import bars
from .rows import Row
from .runs import Run, Weights

EXACT_BACKENDS = ("jax", "torch")
"""In float64 these compute what convae does. Keras on TensorFlow has another cross-entropy: it takes
the sigmoid's logits and does not clip, which shows once a pixel comes within 1e-7 of black."""

MIXED = "mixed_bfloat16"
"""Keras's policy of mixed precision."""

Distance = tuple[float, str]
"""How far, relative, and where it is worst."""


@dataclass(frozen=True)
class Quantity:
    """Something that both sides computed."""

    name: str
    distance: Callable[[Run, Run], Distance]
    bar: float
    culprit: str
    """What to look at where this is the first to part; `{at}` is where."""
    chaotic: bool = True
    """Whether the bar gives way to twice the distance between Keras's own backends."""
    chaos: Callable[[Run, Run], Distance] | None = None
    """That distance, where it is not measured by the quantity itself."""
    early: bool = False
    """Whether the first steps settle it, which are replayed in float64 to measure rounding by."""


def compare(ours: Run, replays: list[Run], dtype: str, exact: Run | None = None) -> list[Row]:
    """All bars of one precision; `exact` is the start of a float32 run on Keras in float64, or a whole one of mixed
    precision in float32."""
    if dtype == MIXED:
        return _mixed(ours, replays, exact)
    quantities = _float64(ours) if dtype == "float64" else _float32(len(ours.losses))
    rounding = _rounding(replays, exact)
    rows = [
        _row(quantity, ours, replay, replays, dtype, rounding(quantity) if quantity.early else 0.0)
        for replay in replays for quantity in quantities
    ]
    return rows + ([_no_step_further(ours, replays)] if dtype == "float32" else [])


def _float32(steps: int) -> list[Quantity]:
    return [
        _first_loss(bars.FIRST_LOSS),
        _gradient(bars.FIRST_GRADIENT, chaotic=True),
        _steps(10, bars.FIRST_TEN, chaotic=False),
        _epoch_means(bars.EPOCH_MEAN),
        _val_losses(bars.EPOCH_MEAN, _steps_apart(steps) if steps < bars.CALM else None),
    ]


def _float64(ours: Run) -> list[Quantity]:
    bar, steps = bars.EXACT, len(ours.losses)
    early = [stage for stage in ("step_1", "step_10") if stage in ours.weights]
    return [
        _first_loss(bar),
        _gradient(bar, chaotic=False),
        *[_weights(stage, bar, chaotic=False) for stage in early],
        _steps(min(10, steps), bar, chaotic=False),
        _steps(steps, bar, chaotic=True),
        _weights("last", bar, chaotic=True),
        _epoch_means(bar),
        _val_losses(bar),
        Quantity("outputs", _outputs_apart, bar, "the outputs, the weights being right"),
    ]


def _mixed(ours: Run, replays: list[Run], exact: Run | None) -> list[Row]:
    """How far from Keras in float32, against how far Keras in mixed precision is: what is rounded where differs from
    backend to backend, and some of Keras's sums of bfloat16 lose nearly all digits."""
    if not exact:
        return [Row("mixed precision", "-", "-", None, "no run of Keras in float32 to measure by")]
    bar = bars.ROUNDED_LOSS
    quantities = [
        _first_loss(bar), _steps(min(10, len(ours.losses)), bar, chaotic=False), _epoch_means(bar), _val_losses(bar),
    ]
    rows = [_gradient_is_rounded(ours, exact), _gradient_is_no_worse(ours, replays, exact)]
    for quantity in quantities:
        distance, at = quantity.distance(ours, exact)
        keras = max(quantity.distance(replay, exact)[0] for replay in replays)
        bar = max(quantity.bar, bars.BACKENDS_APART * keras)
        detail, culprit = f"{at}; Keras itself {keras:.2g}", quantity.culprit.format(at=at)
        name = f"from float32: {quantity.name}"
        rows.append(Row(name, f"{distance:.2g}", f"{bar:.2g}", bool(distance <= bar), detail, culprit))
    return rows


def _gradient_is_rounded(ours: Run, exact: Run) -> Row:
    distance, at = _worst(weight_distances(ours.gradient, exact.gradient, bars.FIRST_GRADIENT))
    name, bar = "from float32: gradient of step 1, at least", bars.ROUNDED
    culprit = f"the gradient of step 1 by {at}: nothing was rounded to bfloat16"
    return Row(name, f"{distance:.2g}", f"{bar:.2g}", bool(distance >= bar), at, culprit)


def _gradient_is_no_worse(ours: Run, replays: list[Run], exact: Run) -> Row:
    """By weights, each against Keras's own."""
    own, *keras = (weight_distances(run.gradient, exact.gradient, bars.FIRST_GRADIENT) for run in (ours, *replays))
    furthest = {name: max(other[name] for other in keras) for name in own}
    shares = {name: distance / min(max(bars.ROUNDINGS, furthest[name]), bars.LOST) for name, distance in own.items()}
    share, at = _worst(shares)
    name, most = "from float32: gradient of step 1, in Keras's own distances", bars.BACKENDS_APART
    detail, culprit = f"{at}, {own[at]:.2g}", f"the gradient of step 1 by {at}: the backward pass"
    return Row(name, f"{share:.2g}", f"{most:.2g}", bool(share <= most), detail, culprit)


def _first_loss(bar: float) -> Quantity:
    culprit = "the loss of step 1, before any weight has moved: the forward pass or the loss"
    return Quantity("loss of step 1", _steps_apart(1), bar, culprit, chaotic=False, early=True)


def _gradient(bar: float, chaotic: bool) -> Quantity:
    culprit = "the gradient of step 1 by {at}, the loss being right: the backward pass"

    def apart(a: Run, b: Run) -> Distance:
        return _worst(weight_distances(a.gradient, b.gradient, bar))

    return Quantity("gradient of step 1", apart, bar, culprit, chaotic, early=True)


def _weights(stage: str, bar: float, chaotic: bool) -> Quantity:
    when = {"step_1": "step 1", "step_10": "step 10", "last": "the last step"}[stage]

    def apart(a: Run, b: Run) -> Distance:
        return _worst(weight_distances(a.weights[stage], b.weights[stage], bar))

    culprit = f"{{at}} after {when}, the gradient being right: the optimizer, or a moving statistic"
    return Quantity(f"weights after {when}", apart, bar, culprit, chaotic)


def _steps(count: int, bar: float, chaotic: bool) -> Quantity:
    culprit = "the loss of {at}, the step before it being right: the optimizer"
    name = f"steps 1 to {count}" if count <= 10 else f"all {count} steps"
    return Quantity(name, _steps_apart(count), bar, culprit, chaotic, early=count <= bars.MEASURED_STEPS)


def _epoch_means(bar: float) -> Quantity:
    culprit = "the epoch's mean loss, its steps being right: batches weighted by their size"
    return Quantity("epoch loss", lambda a, b: _means(a.epoch_losses, b.epoch_losses), bar, culprit)


def _val_losses(bar: float, chaos: Callable[[Run, Run], Distance] | None = None) -> Quantity:
    culprit = "the validation loss, training being right: inference mode, or the mean over batches"
    return Quantity("validation loss", lambda a, b: _means(a.val_losses, b.val_losses), bar, culprit, chaos=chaos)


def relative(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distance of each value, relative to `b`'s."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    return np.abs(a - b) / np.maximum(np.abs(b), np.finfo(float).tiny)


def weight_distances(a: Weights, b: Weights, bar: float) -> dict[str, float]:
    """By tensor, relative to its norm, in `b`'s order. A tensor whose norm is no more than `bar` of all
    tensors' is held against all: it is 0 but for rounding, like the gradient of a bias before a batch
    normalization (and what an optimizer makes of that bias), of which no digit says anything."""
    if a.keys() != b.keys():
        return {name: float("nan") for name in a.keys() ^ b.keys()}
    norms = {name: float(np.linalg.norm(array.astype(float))) for name, array in b.items()}
    whole = float(np.linalg.norm(list(norms.values())))
    distances = {}
    for name, array in b.items():
        norm = norms[name] if norms[name] > bar * whole else whole
        distances[name] = float(np.linalg.norm(a[name].astype(float) - array.astype(float)) / (norm or 1.0))
    return distances


def _steps_apart(count: int) -> Callable[[Run, Run], Distance]:
    def apart(a: Run, b: Run) -> Distance:
        if len(a.losses) != len(b.losses):
            return float("nan"), f"step {min(len(a.losses), len(b.losses)) + 1}, which one side has not"
        distances = relative(a.losses[:count], b.losses[:count])
        return float(distances.max()), f"step {int(np.argmax(distances)) + 1}"

    return apart


def _outputs_apart(a: Run, b: Run) -> Distance:
    return weight_distances({"": a.outputs}, {"": b.outputs}, 0.0)[""], f"{len(b.outputs)} test pictures"


def _means(a: list[float], b: list[float]) -> Distance:
    distances = relative(np.asarray(a), np.asarray(b))
    worst = int(np.argmax(distances))
    epoch = f", epoch {worst + 1}" if len(b) > 1 else ""
    return float(distances.max()), f"{a[worst]:.7f}, Keras {b[worst]:.7f}{epoch}"


def _worst(distances: dict[str, float]) -> Distance:
    """The largest, where not a number is larger than any."""
    name, distance = max(distances.items(), key=lambda item: np.inf if np.isnan(item[1]) else item[1])
    return distance, name


def _rounding(replays: list[Run], exact: Run | None) -> Callable[[Quantity], float]:
    """How far Keras in float32 is from itself in float64, on the same backend; beyond chaos it is no rounding."""
    same = next((run for run in replays if exact and run.name == exact.name), None)
    if not exact or not same:
        return lambda quantity: 0.0
    steps = len(exact.losses)
    start = replace(same, losses=same.losses[:steps])
    return lambda quantity: min(quantity.distance(start, exact)[0], bars.CHAOS / bars.BACKENDS_APART)


def _row(
    quantity: Quantity, ours: Run, replay: Run, replays: list[Run], dtype: str, rounding: float
) -> Row:
    distance, at = quantity.distance(ours, replay)
    name = f"{replay.name}: {quantity.name}"
    apart = _backends_apart(quantity, replay, replays, dtype) if quantity.chaotic else 0.0
    if rounding:
        apart = max(apart or 0.0, rounding)
    if apart is None and quantity.bar < distance <= bars.CHAOS:
        reason = f"{at}; one backend cannot tell a mistake from chaos: name another"
        return Row(name, f"{distance:.2g}", f"{quantity.bar:.2g}", None, reason)
    bar = max(quantity.bar, bars.BACKENDS_APART * (apart or 0.0))
    shown = f"{bar:.2g}" + (" *" if bar > quantity.bar else "")
    culprit = quantity.culprit.format(at=_first_over(quantity, ours, replay, bar, at))
    return Row(name, f"{distance:.2g}", shown, bool(distance <= bar), at, culprit)


def _backends_apart(quantity: Quantity, replay: Run, replays: list[Run], dtype: str) -> float | None:
    """The largest distance between Keras's own backends, or None where there is nothing to measure by.

    In float64 the exact backends are measured by one another, so that TensorFlow's other formula
    does not excuse a distance from them.
    """
    apart = quantity.chaos or quantity.distance
    pairs = list(combinations(replays, 2))
    if dtype == "float64" and replay.name in EXACT_BACKENDS:
        pairs = [pair for pair in pairs if all(run.name in EXACT_BACKENDS for run in pair)]
        return max((apart(a, b)[0] for a, b in pairs), default=0.0)
    return max((apart(a, b)[0] for a, b in pairs), default=None)


def _first_over(quantity: Quantity, ours: Run, replay: Run, bar: float, worst: str) -> str:
    """Where it parts first, which for losses and gradients is not where it is worst."""
    if quantity.name.startswith(("steps", "all")) and len(ours.losses) == len(replay.losses):
        over = np.flatnonzero(~(relative(ours.losses, replay.losses) <= bar))
        return f"step {over[0] + 1}" if len(over) else worst
    if quantity.name.startswith("gradient"):
        # A wrong backward pass spoils what lies before it, so it stands after the last wrong one.
        distances = weight_distances(ours.gradient, replay.gradient, quantity.bar)
        over = [name for name, distance in distances.items() if not distance <= bar]
        return over[-1] if over else worst
    return worst


def _no_step_further(ours: Run, replays: list[Run]) -> Row:
    """No step further from a backend than the backends are from one another, times two, or than the first
    ten may be: in a short run backends can by luck be as near as their last bits."""
    name = "no step further off than backends"
    if len(replays) < 2:
        return Row(name, "-", "-", None, "one backend: nothing to measure its distance by")
    steps = _steps_apart(len(ours.losses))
    apart = max(steps(a, b)[0] for a, b in combinations(replays, 2))
    (distance, at), furthest = max(((steps(ours, replay), replay.name) for replay in replays), key=lambda x: x[0][0])
    bar = max(bars.FIRST_TEN, bars.BACKENDS_APART * apart)
    detail = f"from {furthest}, {at}; backends are up to {apart:.2g} apart"
    culprit = f"the loss of {at}, {distance:.2g} from {furthest}: further than chance takes it"
    return Row(name, f"{distance:.2g}", f"{bar:.2g}", bool(distance <= bar), detail, culprit)
