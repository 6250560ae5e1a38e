"""The built program, and its own table of all keys of a config (`convae reference --json`)."""

import functools
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from .failure import Failure

ROOT = Path(__file__).resolve().parents[2]
NAMED = "CONVAE"
"""The environment variable that names the program; else it is the newer of those that cargo built."""


def find() -> Path:
    """Where the program is."""
    if named := os.environ.get(NAMED):
        if not Path(named).is_file():
            raise Failure(f"there is no program {named}, which {NAMED} names")
        return Path(named)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    built = [path for path in (target / "debug/convae", target / "release/convae") if path.is_file()]
    if not built:
        raise Failure(f"convae is not built in {target}; run `cargo build --locked`, or name it in {NAMED}")
    return max(built, key=lambda path: path.stat().st_mtime)


def use(program: Path) -> None:
    """From here on, also in child processes, `program` is the one."""
    os.environ[NAMED] = str(program)


@functools.cache
def reference() -> dict[str, Any]:
    """Every section of a config by the places where it may stand, as src/config/reference.rs says it."""
    program = find()
    done = subprocess.run([program, "reference", "--json"], capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"{program} does not give its reference as JSON; build it anew with `cargo build --locked`")
    sections = json.loads(done.stdout)["sections"]
    return {place: section for section in sections for place in section["places"]}
