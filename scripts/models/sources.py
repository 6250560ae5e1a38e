"""Where photographs come from: packages of Debian, which are unpacked and not installed, and of Python."""

import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from parity.failure import Failure


@dataclass(frozen=True)
class DebianPackage:
    """One version of a package of Debian 12; other versions may have other pictures."""

    name: str
    version: str
    home: str
    """Folder of the pictures."""

    def __str__(self) -> str:
        return f"Debian's {self.name} {self.version}"

    def open(self, folder: Path) -> Path:
        """The folder of its pictures; `folder` keeps the package and what is in it."""
        unpacked = folder / self.name
        if not unpacked.exists():
            part = folder / f"{self.name}.part"
            shutil.rmtree(part, ignore_errors=True)
            self.call("dpkg-deb", "-x", str(self.file(folder)), str(part))
            part.rename(unpacked)
        return unpacked / self.home

    def file(self, folder: Path) -> Path:
        """The package itself, which is fetched unless somebody has put it there."""
        if not self.found(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self.call("apt-get", "download", f"{self.name}={self.version}", within=folder)
        return self.found(folder)[0]

    def found(self, folder: Path) -> list[Path]:
        # A colon is written so in the names of files.
        return sorted(folder.glob(f"{self.name}_{self.version.replace(':', '%3a')}_*.deb"))

    def call(self, *command: str, within: Path | None = None) -> None:
        try:
            done = subprocess.run(command, cwd=within, capture_output=True, text=True)
        except FileNotFoundError:
            raise Failure(f"{self} is needed for its pictures, and {command[0]} is not installed: use Debian 12")
        if done.returncode:
            said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
            raise Failure(f"{self} is needed for its pictures, and {command[0]} failed ({said}): "
                          "use Debian 12, after apt-get update")


@dataclass(frozen=True)
class PythonPackage:
    """One of scripts/requirements.txt, which says its version."""

    name: str
    module: str
    home: str

    def __str__(self) -> str:
        return f"Python's {self.name}"

    def open(self, _folder: Path) -> Path:
        found = find_spec(self.module)
        if not found or not found.submodule_search_locations:
            raise Failure(f"{self} is not installed: run scripts/setup.sh --python")
        return Path(found.submodule_search_locations[0]) / self.home
