"""Tests that every script of the repository can be started. What most of them do takes minutes, or is
only measured; a name that has gone from a module would show here all the same."""

import os
import subprocess
import sys
import unittest

from .program import ROOT

FOLDERS = ("scripts", "examples", "fuzz", "tests", "src")
HELPFUL = (
    ["scripts/bench_apply.py"], ["scripts/make_pages.py"],
    ["scripts/make_policies_golden.py"], ["scripts/measure_data.py"],
    ["-m", "bench"], ["-m", "parity"], ["-m", "parity.cases"], ["-m", "show"],
)


class Entries(unittest.TestCase):
    def test_every_python_file_is_python(self) -> None:
        files = [file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py"))]
        self.assertGreater(len(files), 80)
        for file in files:
            with self.subTest(str(file.relative_to(ROOT))):
                compile(file.read_text(), str(file), "exec")

    def test_every_script_with_options_says_what_they_are(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
        for entry in HELPFUL:
            with self.subTest(" ".join(entry)):
                done = subprocess.run([sys.executable, *entry, "--help"], cwd=ROOT, capture_output=True, text=True,
                                      env=environment | {"PYTHONPATH": "scripts"})
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn("usage: ", done.stdout)
