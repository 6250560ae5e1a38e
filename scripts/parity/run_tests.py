"""Runs every test of this package, convae being built: `PYTHONPATH=scripts python -m parity.run_tests`.

The last line is `N passed, M failed`, which scripts/test.sh adds up. A test that is skipped counts as
failed: it has not shown what it is there for.
"""

import sys
import unittest
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(words: list[str]) -> int:
    """All files `test_*.py`, or those that are named: `python -m parity.run_tests keys compare`."""
    warnings.simplefilter("ignore")  # Keras on torch has some for NumPy 2
    names = words or sorted(path.stem.removeprefix("test_") for path in HERE.glob("test_*.py"))
    suite = unittest.defaultTestLoader.loadTestsFromNames([f"{__package__}.test_{name}" for name in names])
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, warnings="ignore").run(suite)
    # A test of several cases fails once for each of them; it is one test.
    bad = {getattr(test, "test_case", test).id()
           for test, _ in [*result.failures, *result.errors, *result.skipped]}
    bad |= {test.id() for test in result.unexpectedSuccesses}
    print(f"{result.testsRun - min(len(bad), result.testsRun)} passed, {len(bad)} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
