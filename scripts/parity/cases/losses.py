"""Every loss: its value and its gradient, with outputs and targets at and near 0 and 1.

Binary cross-entropy at the clip: like Keras on JAX and on torch, ours clips probabilities to
[1e-7, 1 - 1e-7], and what is clipped has no gradient. Keras on TensorFlow does the same for given
probabilities; behind a sigmoid layer it goes back to the logits and clips nothing. Exactly at the
clip's edge JAX passes half of the gradient and the others, like us, all of it; no case lies there.

Mean absolute error where output and target are equal: on TensorFlow and torch, as with us, the
gradient there is 0; on JAX it is that of a larger target. No case has equal ones. So it is of the percentage
error; and an output of just 1, where the relative entropy clips, is no case.
"""

import functools
import json

import numpy as np

from . import reference
from ..model import LOSSES, keras_loss
from .case import Case, distance, generator

BAR = 1e-12
CLASSES = {name: kind for name, kind in LOSSES.items() if name not in ("bce", "msle", "mape", "kld")}
OF_PROBABILITIES = ("binary_crossentropy", "binary_focal_crossentropy", "categorical_crossentropy",
                    "sparse_categorical_crossentropy", "poisson", "kl_divergence",
                    "mean_squared_logarithmic_error", "dice", "tversky")
OF_CLASSES = ("categorical_crossentropy", "sparse_categorical_crossentropy")
NO_EQUALS = ("MeanAbsoluteError", "MeanAbsolutePercentageError")
EDGES = [0.0, 1e-300, 1e-12, 5e-8, 2e-7, 1e-4]


def near_the_ends(rng, shape):
    """Values in 0..1: anywhere, or at and near the ends."""
    edges = np.array(EDGES + [1 - edge for edge in EDGES])
    return np.where(rng.random(shape) < 0.5, rng.random(shape), rng.choice(edges, shape))


def uniform(low, high):
    return lambda rng, rank: float(rng.uniform(low, high))


def flip(rng, rank):
    return bool(rng.random() < 0.5)


def axis(rng, rank):
    return int(rng.integers(-rank, rank))


def axes(rng, rank):
    """One axis, or several in any order, the last one counted from either end."""
    if rng.random() < 0.4:
        return axis(rng, rank)
    chosen = rng.permutation(rank)[:rng.integers(1, rank + 1)].tolist()
    return [*chosen[:-1], chosen[-1] - rank * int(rng.random() < 0.5)]


LABELS = {"from_logits": flip, "label_smoothing": uniform(0, 1)}
OPTIONS = {
    "binary_crossentropy": LABELS,
    "binary_focal_crossentropy": LABELS | {
        "apply_class_balancing": flip, "alpha": uniform(0, 1), "gamma": uniform(1, 4)},
    "categorical_crossentropy": LABELS | {"axis": axis},
    "sparse_categorical_crossentropy": {"from_logits": flip},
    "huber": {"delta": uniform(0.1, 3)},
    "cosine_similarity": {"axis": axis},
    "dice": {"axis": axes},
    "tversky": {"alpha": uniform(0, 2), "beta": uniform(0, 2), "axis": axes},
}


def options(rng, row, rank):
    """Each is written or left to its default."""
    drawn = {key: draw(rng, rank) for key, draw in OPTIONS.get(row, {}).items()}
    drawn["reduction"] = str(rng.choice(["sum", "sum_over_batch_size"]))
    return {key: value for key, value in drawn.items() if rng.random() < 0.5}


@functools.cache
def puller(table):
    """Keras's loss of a table of JSON, so that it can be looked up, reduced as `fit` does."""
    loss = keras_loss(json.loads(table))
    return reference.puller(lambda output, target: (loss(target[0], output[0]), []))


def arrays(rng, row, shape, chosen):
    """Outputs and targets."""
    output, target = near_the_ends(rng, shape), near_the_ends(rng, shape)
    if rng.random() < 0.3:
        target = target.round()
    if chosen.get("from_logits") or row not in OF_PROBABILITIES and (
            rng.random() < 0.5 or row == "cosine_similarity"):
        output = 5 * rng.normal(size=shape)
        target = target if row in OF_PROBABILITIES else 5 * rng.normal(size=shape)
    elif row in OF_CLASSES:
        output = rng.random(shape) + 1e-3  # no sum is 0, and none of the shares is at the clip
    if row == "sparse_categorical_crossentropy":
        target = rng.integers(0, shape[-1], [*shape[:-1], 1]).astype(np.float64)
    if CLASSES[row] in NO_EQUALS:
        output = np.where(output == target, output + 0.5, output)
    if row == "kl_divergence":
        output = np.where(output == 1.0, 0.75, output)
    return output, target


def draw(row, index, seed):
    """One case."""
    rng = generator(seed, row, index)
    shape = rng.integers(1, 6, 4) if rng.random() < 0.5 else rng.integers(1, 40, 2)
    chosen = options(rng, row, len(shape))
    output, target = arrays(rng, row, shape, chosen)
    table = {"loss": row} | chosen

    def wanted():
        value, [gradient], _ = puller(json.dumps(table))([output], [target], np.ones(()))
        return {"value": value, "gradient": gradient}

    def judge(answer):
        count = np.prod(shape[:-1]) if chosen.get("reduction") == "sum" else 1
        scales = {"value": 0.0, "gradient": count / np.sqrt(output.size)}
        if row == "cosine_similarity":
            # Cosines of either sign cancel, and so does the slope of each pixel of one channel.
            along = chosen.get("axis", -1)
            norms = np.linalg.norm(output, axis=along)
            total = norms.size if "sum" == chosen.get("reduction") else 1
            scales = {"value": total, "gradient": total * np.linalg.norm(1 / norms) / norms.size}
        return {name: distance(answer[name], want, scales[name])
                for name, want in wanted().items()}

    request = {"kind": "loss", "loss": table if chosen else row}
    return Case(f"loss {row}", index, request, {"output": output, "target": target}, judge, BAR, wanted)


def cases(row, count, seed):
    return [draw(row.removeprefix("loss "), index, seed) for index in range(count)]
