"""Single layers, optimizers, losses and initializers: `parity.cases` compares them, this asks it."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

from .failure import Failure
from .rows import Row

MODULE = "parity.cases"


def available() -> bool:
    return importlib.util.find_spec(MODULE) is not None


def check(out: Path, count: int) -> list[Row]:
    """Its rows, from so many random cases each; it prints its own table as it goes."""
    file = out / "cases.json"
    file.unlink(missing_ok=True)
    code = subprocess.run([sys.executable, "-m", MODULE, "--count", str(count), "--json", str(file)]).returncode
    if code not in (0, 1) or not file.exists():
        raise Failure(f"python -m {MODULE} ended with exit code {code} and no result; see its message above")
    return [_row(given) for given in json.loads(file.read_text())["rows"]]


def _row(given: dict) -> Row:
    detail = given.get("detail", "")
    return Row(given["comparison"], _shown(given["measured"]), _shown(given["bar"]), given["ok"],
               detail, f"{given['comparison']}: {detail}")


def _shown(value: object) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)
