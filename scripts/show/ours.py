"""convae as a contestant: the binary trains from a shipped config and is applied to files."""

import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from parity.failure import Failure


@dataclass(frozen=True)
class Done:
    """A command that ended well."""

    seconds: float
    peak_mb: float
    """Most memory that it held at once."""


def run(command: list[str], log: Path) -> Done:
    """Waits for it; what it says goes to a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "w") as output:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Failure(f"{' '.join(command[:2])} ended with exit code {process.returncode}; see {log}")
    return Done(seconds, usage.ru_maxrss / 1024)


@dataclass(frozen=True)
class Model:
    """A shipped config and the run that it left."""

    binary: Path
    config: str
    folder: Path
    pages: Path
    """With train/ and test/ in it."""

    @property
    def checkpoint(self) -> Path:
        return self.folder / f"{self.config}.pt"

    def train(self, again: bool) -> None:
        """A finished run is used again, unless it is to be made anew."""
        if self.checkpoint.exists() and not again:
            return
        command = [str(self.binary), "--config", f"configs/{self.config}.toml"]
        command += ["--out", str(self.folder), "--overwrite"]
        for part in ("train", "test"):
            command += ["--set", f"data.{part}={self.pages / part}"]
        run(command, self.folder.with_suffix(".log"))

    def history(self) -> dict:
        return json.loads((self.folder / "history.json").read_text())

    def training_seconds(self) -> float:
        timings = json.loads((self.folder / "timings.json").read_text())
        return sum(epoch["seconds"] for epoch in timings["epochs"])

    def apply(self, inputs: Path, outputs: Path) -> Done:
        """The whole folder in one call, as a user would."""
        command = [str(self.binary), "apply", "--checkpoint", str(self.checkpoint)]
        command += ["--out", str(outputs), "--overwrite", str(inputs)]
        return run(command, outputs.with_suffix(".log"))
