"""Trained from scratch with nothing shared: do both sides end in the same place on average?"""

import json
import math
import statistics
import subprocess
from pathlib import Path

from . import bars, driver
from .failure import Failure
from .rows import Row

FIGURES = {"loss": "mean loss of the epoch", "val_loss": "validation loss"}


def check(case: "driver.Case", count: int) -> list[Row]:
    """A row for each figure, over seeds 1 to `count` on each side."""
    case.out.mkdir(parents=True, exist_ok=True)
    seeds = list(range(1, count + 1))
    ours, keras = _convae(case, seeds), _keras(case, seeds)
    (case.out / "seeds.json").write_text(json.dumps({"convae": ours, "keras": keras}, indent=1))
    return [_row(case, key, [run[key] for run in ours], [run[key] for run in keras]) for key in FIGURES]


def _row(case: "driver.Case", key: str, ours: list[float], keras: list[float]) -> Row:
    means = statistics.mean(ours), statistics.mean(keras)
    spreads = statistics.variance(ours), statistics.variance(keras)
    error = math.sqrt((spreads[0] + spreads[1]) / len(ours))
    distance = abs(means[0] - means[1]) / error
    detail = (f"standard errors; convae {means[0]:.5f} (sd {spreads[0]**0.5:.5f}), "
              f"Keras {means[1]:.5f} (sd {spreads[1]**0.5:.5f}), {len(ours)} seeds each")
    name = f"{case.label} from scratch: {FIGURES[key]}"
    culprit = f"{FIGURES[key]} over seeds: a mean {distance:.1f} standard errors off"
    return Row(name, f"{distance:.2f}", f"{bars.SEEDS:g}", bool(distance <= bars.SEEDS), detail, culprit)


def _convae(case: "driver.Case", seeds: list[int]) -> list[dict[str, float]]:
    results = []
    for seed in seeds:
        folder = case.out / f"convae-{seed}"
        command = [str(case.convae), "--config", str(case.config), "--out", str(folder), "--overwrite"]
        for argument in [*case.sets(), f"seed={seed}"]:
            command += ["--set", argument]
        with open(case.out / "convae.log", "w") as log:
            if subprocess.run(command, stdout=log, stderr=subprocess.STDOUT).returncode:
                raise Failure(f"convae could not train {case.config} with seed {seed}; see {case.out}/convae.log")
        last = json.loads((folder / "history.json").read_text())["epochs"][-1]
        results.append({key: last[key] for key in FIGURES})
        driver.say(f"{case.label} from scratch: convae, seed {seed}: " + _shown(results[-1]))
    return results


def _keras(case: "driver.Case", seeds: list[int]) -> list[dict[str, float]]:
    job = {"config": str(case.config), "overrides": case.sets(), "seeds": seeds, "out": str(case.out)}
    (case.out / "scratch-job.json").write_text(json.dumps(job))
    driver.child("parity.scratch", str(case.out / "scratch-job.json"), "tensorflow", "float32",
                 case.out / "scratch.log", f"{case.label} from scratch: Keras")
    return json.loads((case.out / "scratch.json").read_text())


def _shown(result: dict[str, float]) -> str:
    return f"loss {result['loss']:.5f}, val_loss {result['val_loss']:.5f}"
