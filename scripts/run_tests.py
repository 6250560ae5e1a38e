"""Runs the tests of the scripts, convae and its examples being built: `python scripts/run_tests.py`.

    .venv/bin/python scripts/run_tests.py                      # every test_*.py of the packages here
    .venv/bin/python scripts/run_tests.py parity.test_keys     # these

The last line is `N passed, M failed`, which scripts/test.sh adds up. A test that is skipped counts as
failed: it has not shown what it is there for.
"""

import os
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(names: list[str]) -> int:
    os.environ["PYTHONPATH"] = str(HERE)  # for the processes that the tests start
    found = sorted(f"{path.parent.name}.{path.stem}" for path in HERE.glob("*/test_*.py"))
    suite = unittest.defaultTestLoader.loadTestsFromNames(names or found)
    # Keras has warnings for NumPy 2.
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, warnings="ignore").run(suite)
    problems = [test for test, _ in [*result.failures, *result.errors, *result.skipped]]
    # A test of several cases fails once for each of them, and is one test.
    failed = {getattr(test, "test_case", test).id() for test in [*problems, *result.unexpectedSuccesses]}
    print(f"{result.testsRun - len(failed)} passed, {len(failed)} failed")
    return 1 if failed or not result.testsRun else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
