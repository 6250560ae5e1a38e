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

import numpy as np

from . import reference
from .case import Case, distance, generator

BAR = 1e-12
CLASSES = {
    "binary_crossentropy": "BinaryCrossentropy",
    "mean_squared_error": "MeanSquaredError",
    "mse": "MeanSquaredError",
    "mean_absolute_error": "MeanAbsoluteError",
    "mae": "MeanAbsoluteError",
    "huber": "Huber",
    "log_cosh": "LogCosh",
    "mean_squared_logarithmic_error": "MeanSquaredLogarithmicError",
    "mean_absolute_percentage_error": "MeanAbsolutePercentageError",
    "poisson": "Poisson",
    "kl_divergence": "KLDivergence",
    "cosine_similarity": "CosineSimilarity",
}
OF_PROBABILITIES = ("binary_crossentropy", "poisson", "kl_divergence", "mean_squared_logarithmic_error")
NO_EQUALS = ("MeanAbsoluteError", "MeanAbsolutePercentageError")
EDGES = [0.0, 1e-300, 1e-12, 5e-8, 2e-7, 1e-4]


def near_the_ends(rng, shape):
    """Values in 0..1: anywhere, or at and near the ends."""
    edges = np.array(EDGES + [1 - edge for edge in EDGES])
    return np.where(rng.random(shape) < 0.5, rng.random(shape), rng.choice(edges, shape))


@functools.cache
def puller(name, **options):
    """Keras's loss, averaged as `fit` does."""
    loss = getattr(reference.keras.losses, CLASSES[name])(**options)
    return reference.puller(lambda output, target: (loss(target[0], output[0]), []))


def draw(row, index, seed):
    """One case."""
    rng = generator(seed, row, index)
    shape = rng.integers(1, 6, 4) if rng.random() < 0.5 else rng.integers(1, 40, 2)
    output, target = near_the_ends(rng, shape), near_the_ends(rng, shape)
    if rng.random() < 0.3:
        target = target.round()
    if row not in OF_PROBABILITIES and (rng.random() < 0.5 or row == "cosine_similarity"):
        output, target = 5 * rng.normal(size=(2, *shape))
    if CLASSES[row] in NO_EQUALS:
        output = np.where(output == target, output + 0.5, output)
    if row == "kl_divergence":
        output = np.where(output == 1.0, 0.75, output)
    options = {"delta": float(rng.uniform(0.1, 3))} if row == "huber" else {}

    def wanted():
        value, [gradient], _ = puller(row, **options)([output], [target], np.ones(()))
        return {"value": value, "gradient": gradient}

    def judge(answer):
        scales = {"value": 0.0, "gradient": 1 / np.sqrt(output.size)}
        if row == "cosine_similarity":
            # Cosines of either sign cancel, and so does the slope of each pixel of one channel.
            norms = np.linalg.norm(output, axis=-1)
            scales = {"value": 1.0, "gradient": np.linalg.norm(1 / norms) / norms.size}
        return {name: distance(answer[name], want, scales[name])
                for name, want in wanted().items()}

    request = {"kind": "loss", "loss": {"loss": row} | options if options else row}
    return Case(f"loss {row}", index, request, {"output": output, "target": target}, judge, BAR, wanted)


def cases(row, count, seed):
    return [draw(row.removeprefix("loss "), index, seed) for index in range(count)]
