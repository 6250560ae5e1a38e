"""The mutation check: every fault, planted, must make the comparison fail and be named by it.

Each goes through the whole program as a user would start it, on ten steps; so does each config
without any fault, which must pass.
"""

import os
import subprocess
import sys
from pathlib import Path

from . import config
from .driver import say
from .failure import Failure
from .faults import FAULTS, Fault
from .rows import Row

OWN_CONFIGS = Path(__file__).parent / "configs"
FEW = ("data.train_samples=320", "data.test_samples=64")
"""Ten steps."""


def check(out: Path, convae: Path) -> list[Row]:
    """A row for each fault, and one for each config without."""
    rows = [_sound(name, out, convae) for name in sorted({fault.config for fault in FAULTS.values()})]
    return rows + [_planted(name, fault, out, convae) for name, fault in FAULTS.items()]


def _sound(name: str, out: Path, convae: Path) -> Row:
    code, said = _compare(name, FEW, None, out / f"sound-{Path(name).stem}", convae)
    return Row(f"no fault, {name}", f"exit {code}", "exit 0", code == 0, said, f"{name} without a fault: {said}")


def _planted(name: str, fault: Fault, out: Path, convae: Path) -> Row:
    code, said = _compare(fault.config, (*FEW, *fault.overrides), name, out / name, convae)
    found = code == 1 and fault.named in said
    return Row(fault.description, f"exit {code}", "exit 1", found, said, f"{name} was not found: {said}")


def _compare(
    named: str, overrides: tuple[str, ...], fault: str | None, out: Path, convae: Path
) -> tuple[int, str]:
    """Exit code and the sentence that says what parted first."""
    own = OWN_CONFIGS / named
    command = [sys.executable, "-m", "parity", "--config", str(own if own.exists() else config.find(named)),
               "--backend", "jax", "--dtype", "float64", "--out", str(out), "--convae", str(convae)]
    for argument in overrides:
        command += ["--set", argument]
    if fault:
        command += ["--plant", fault]
    say(f"mutation check: {fault or 'no fault, ' + named}")
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    if done.returncode not in (0, 1):
        raise Failure(f"the mutation check {fault or named} did not run: {done.stderr.strip().splitlines()[-1]}")
    said = [line.split("Parted first: ")[1] for line in done.stdout.splitlines() if "Parted first: " in line]
    return done.returncode, said[0] if said else "all bars hold"
