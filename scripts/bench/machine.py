"""On what, with what and when: without it a figure says little."""

import os
import platform
import resource
import subprocess
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from .contestants import cores

PACKAGES = ("keras", "tensorflow-cpu", "tensorflow", "jax", "jaxlib", "torch", "numpy")
BUSY = 0.5
"""A load above this before the start is somebody else's work."""
MUCH = 0.05
"""So is this share of the cores, while we measured."""


def describe(built: Path) -> dict[str, Any]:
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": cpu(),
        "threads": cores(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": platform.platform(),
        "load_before": round(os.getloadavg()[0], 2),
        "versions": versions(built),
    }


def cpu() -> str:
    """The model's name, and the widest vectors that it has."""
    information = Path("/proc/cpuinfo")
    if not information.exists():
        return output("sysctl", "-n", "machdep.cpu.brand_string") or platform.processor()
    lines = [line.partition(":")[::2] for line in information.read_text().splitlines()]
    found = {key.strip(): value.strip() for key, value in lines}
    vectors = next((name for name in ("avx512f", "avx2", "avx") if name in found.get("flags", "").split()), "")
    return f"{found.get('model name', platform.machine())} {vectors}".strip()


def versions(built: Path) -> dict[str, str]:
    found = {
        "convae": output(str(built / "convae"), "--version").removeprefix("convae "),
        "commit": commit(),
        "rustc": output("rustc", "--version").removeprefix("rustc "),
        "libtorch": libtorch(),
        "python": platform.python_version(),
    }
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {name: version for name, version in found.items() if version}


def commit() -> str:
    """With a mark where the sources differ from it."""
    changed = output("git", "status", "--porcelain")
    return output("git", "rev-parse", "--short", "HEAD") + (" and changes" if changed else "")


def libtorch() -> str:
    stamp = Path(os.environ.get("LIBTORCH", ".libtorch")) / "build-version"
    return stamp.read_text().strip() if stamp.exists() else ""


def output(*command: str) -> str:
    """What a command prints, or nothing where it cannot be run."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


class Activity:
    """Who used the cores since it was made: figures from a shared machine say little."""

    def __init__(self) -> None:
        self.started = self._busy_and_total(), self._own()

    def others_share(self) -> float | None:
        """The part of all cores' time that other programs took, where Linux tells."""
        (before, total_before), own_before = self.started
        busy, total = self._busy_and_total()
        if total == total_before:
            return None
        return round(max(0.0, busy - before - (self._own() - own_before)) / (total - total_before), 3)

    @staticmethod
    def _busy_and_total() -> tuple[float, float]:
        statistics = Path("/proc/stat")
        if not statistics.exists():
            return 0.0, 0.0
        ticks = [int(text) for text in statistics.read_text().split("\n", 1)[0].split()[1:9]]
        idle = ticks[3] + ticks[4]
        return (sum(ticks) - idle) / os.sysconf("SC_CLK_TCK"), sum(ticks) / os.sysconf("SC_CLK_TCK")

    @staticmethod
    def _own() -> float:
        """Ours and that of the children that have ended."""
        usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def in_words(machine: dict[str, Any], others: float | None) -> str:
    """On what and with what, as it stands under the table."""
    listed = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    text = f"{machine['date']}, {machine['cpu']}, {machine['threads']} threads. {listed}."
    if machine["load_before"] > BUSY or (others or 0) > MUCH:
        text += (f" NOT IDLE: the load was {machine['load_before']} before the start, and other programs took"
                 f" {others or 0:.0%} of the cores' time.")
    return text
