"""What the tests share: a folder of their own, the program, and a few digits from the repository."""

import subprocess
import tempfile
import unittest
from pathlib import Path

from . import program

DIGITS = program.ROOT / "tests/digits"
"""640 training and 200 test digits."""


class Sandbox(unittest.TestCase):
    """A folder for each test."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def convae(self, *arguments: str) -> str:
        """What the program prints; it must succeed."""
        done = subprocess.run([program.find(), *map(str, arguments)], capture_output=True, text=True,
                              cwd=program.ROOT)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout
