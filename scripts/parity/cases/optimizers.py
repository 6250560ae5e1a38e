"""Every optimizer with its options: a hundred steps of given gradients."""

import numpy as np

from . import reference
from ..model import keras_optimizer
from .case import Case, distance, generator

BAR = 1e-12
STEPS = 100
EVERY = 10
# A kernel, a bias, a scalar and two matrices; the gradients are of any size beside one another.
SHAPES = [[3, 3, 2, 4], [4], [], [5, 3], [2, 6]]


def between(rng, low, high):
    """Evenly over orders of magnitude."""
    return float(10 ** rng.uniform(np.log10(low), np.log10(high)))


def adam(rng):
    return {"beta_1": float(rng.uniform(0, 0.99)), "beta_2": float(rng.uniform(0.5, 0.9999)),
            "epsilon": between(rng, 1e-9, 1e-2), "amsgrad": bool(rng.random() < 0.5)}


def moments(rng):
    return {key: value for key, value in adam(rng).items() if key != "amsgrad"}


OWN = {
    "Adam": adam,
    "AdamW": adam,
    "SGD": lambda rng: {"momentum": float(rng.uniform(0, 0.99)),
                        "nesterov": bool(rng.random() < 0.5)},
    "RMSprop": lambda rng: {"rho": float(rng.uniform(0.5, 0.99)),
                            "momentum": float(rng.uniform(0, 0.99)),
                            "epsilon": between(rng, 1e-9, 1e-2),
                            "centered": bool(rng.random() < 0.5)},
    "Adadelta": lambda rng: {"rho": float(rng.uniform(0.5, 0.99)),
                             "epsilon": between(rng, 1e-9, 1e-2)},
    "Nadam": moments,
    "Adamax": moments,
    "Lamb": moments,
    "Adagrad": lambda rng: {"initial_accumulator_value": between(rng, 1e-3, 1),
                            "epsilon": between(rng, 1e-9, 1e-2)},
    "Lion": lambda rng: {"beta_1": float(rng.uniform(0, 0.99)), "beta_2": float(rng.uniform(0.5, 0.999))},
    "Ftrl": lambda rng: {"learning_rate_power": float(rng.uniform(-0.9, 0)),
                         "initial_accumulator_value": between(rng, 1e-3, 1),
                         "l1_regularization_strength": between(rng, 1e-4, 1),
                         "l2_regularization_strength": between(rng, 1e-4, 1),
                         "l2_shrinkage_regularization_strength": between(rng, 1e-4, 1),
                         "beta": float(rng.uniform(0, 1))},
    "Adafactor": lambda rng: {"beta_2_decay": float(rng.uniform(-1, -0.3)),
                              "epsilon_1": between(rng, 1e-30, 1e-6),
                              "epsilon_2": between(rng, 1e-4, 1e-1),
                              "clip_threshold": between(rng, 0.3, 3),
                              "relative_step": bool(rng.random() < 0.5)},
    "Muon": lambda rng: {"adam_beta_1": float(rng.uniform(0, 0.99)),
                         "adam_beta_2": float(rng.uniform(0.5, 0.9999)),
                         "adam_weight_decay": between(rng, 1e-3, 1),
                         "epsilon": between(rng, 1e-9, 1e-2),
                         "exclude_layers": [["weight3"], ["weight4", "other"], []][rng.integers(3)],
                         "adam_lr_ratio": between(rng, 0.1, 10),
                         "muon_a": float(rng.uniform(1.5, 3.5)),
                         "momentum": float(rng.uniform(0, 0.99)),
                         "ns_steps": int(rng.integers(1, 6)),
                         "nesterov": bool(rng.random() < 0.5),
                         "rms_rate": float(rng.uniform(0.1, 1)) if rng.random() < 0.7 else 0.0},
}


def options(rng, name):
    """The first keys are the optimizer's own, the others those of every optimizer. Each is written
    or left to its default."""
    common = {"learning_rate": between(rng, 1e-4, 1e-1)}
    if rng.random() < 0.5:
        common["weight_decay"] = between(rng, 1e-3, 1)
    limit = [None, "clipnorm", "clipvalue", "global_clipnorm"][rng.integers(4)]
    if limit:
        common[limit] = between(rng, 0.1, 10)
    own = {key: value for key, value in OWN[name](rng).items() if rng.random() < 0.6}
    return own | common


def rates(rng, start):
    """Constant, by steps, decaying, or at random: nothing that an optimizer may foresee."""
    steps = np.arange(STEPS)
    return start * [np.ones(STEPS), 0.5 ** (steps // 25), 1 / (1 + 0.05 * steps),
                    10 ** rng.uniform(-1, 1, STEPS)][rng.integers(4)]


def gradients(rng, shape):
    """Drifting noise of some size; a part that is exactly 0, as behind a dead unit."""
    size = between(rng, 1e-3, 1e1)
    drift = rng.normal(size=shape)
    gradient = size * (drift + rng.normal(size=[STEPS, *shape]))
    return gradient * (rng.random(shape) < 0.9)


def keras_weights(name, options, weights, gradients, rates):
    """The weights after every tenth step."""
    keras = reference.keras
    optimizer = keras_optimizer(name, options)
    variables = [keras.Variable(weight, name=f"weight{i}") for i, weight in enumerate(weights)]
    optimizer.build(variables)
    take = compiled_step(optimizer, variables) if reference.BACKEND == "jax" else optimizer.apply
    snapshots = []
    for step, rate in enumerate(rates):
        optimizer.learning_rate = rate
        take([keras.ops.convert_to_tensor(each[step]) for each in gradients])
        if (step + 1) % EVERY == 0:
            snapshots.append([keras.ops.convert_to_numpy(variable) for variable in variables])
    return [np.stack(each) for each in zip(*snapshots)]


def compiled_step(optimizer, variables):
    """The optimizer's `apply`, compiled once for all steps: op by op, JAX takes ten times as long."""
    import jax

    apply = jax.jit(optimizer.stateless_apply)

    def step(gradients):
        held = [*variables, *optimizer.variables]
        weights, state = apply([v.value for v in optimizer.variables], gradients,
                               [v.value for v in variables])
        for variable, value in zip(held, [*weights, *state], strict=True):
            variable.assign(value)

    return step


def draw(row, index, seed, steps=STEPS):
    """One case, or its first steps."""
    rng = generator(seed, row, index)
    chosen = options(rng, row)
    weights = [rng.normal(size=shape) for shape in SHAPES]
    slopes = [gradients(rng, shape)[:steps] for shape in SHAPES]
    given = {"rates": rates(rng, chosen["learning_rate"])[:steps]}
    given |= {f"weight{i}": weight for i, weight in enumerate(weights)}
    given |= {f"gradient{i}": gradient for i, gradient in enumerate(slopes)}

    def after(nudged):
        """Keras's weights by name, perhaps with everything that goes in moved by one rounding."""
        moved = nudge if nudged else lambda given: given
        settings = {key: float(moved(value)) if isinstance(value, float) else value
                    for key, value in chosen.items()}
        weights_after = keras_weights(row, settings, weights, [moved(each) for each in slopes],
                                      moved(given["rates"]))
        return {f"weight{i}": weight for i, weight in enumerate(weights_after)}

    def judge(answer):
        wanted = after(nudged=False)
        errors = {name: distance(answer[name], want) for name, want in wanted.items()}
        return errors if max(errors.values()) <= BAR else conditioned(errors, wanted, after(True))

    def wanted():
        return after(nudged=False)

    request = {"kind": "optimizer", "optimizer": {"name": row} | chosen, "every": EVERY}
    return Case(row, index, request, given, judge, BAR, wanted)


def nudge(given):
    """The next float64."""
    return np.nextafter(given, np.inf)


def conditioned(errors, wanted, nudged):
    """Errors where float64 determines the weights less well than the bar asks: twice what Keras itself
    moves by when everything that goes in moves by one rounding counts as the bar, as both sides round. It
    happens to RMSprop, centred: mean square less squared mean cancels where a clipped gradient stays the same.
    There both sides are some 1e-10 from the exact weights, and nearer to one another."""
    judged = {}
    for name, error in errors.items():
        own = distance(nudged[name], wanted[name])
        label = f"{name} ({error:.1e}; Keras itself moves by {own:.1e} on one rounding)"
        judged[label if error > BAR else name] = error * BAR / max(BAR, 2.0 * own)
    return judged


def cases(row, count, seed):
    return [draw(row, index, seed) for index in range(count)]
