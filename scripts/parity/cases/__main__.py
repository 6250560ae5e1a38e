"""Draws the cases, has both sides answer, prints the table; exits with 1 on a miss."""

import argparse
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import probe, reference
from .case import Row
from .rows import ROWS


THREADS = 2


def arguments():
    parser = argparse.ArgumentParser(prog="python -m parity.cases", description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="random cases of each row")
    parser.add_argument("--only", default="", help="rows whose name has one of these words, A,B")
    parser.add_argument("--case", type=int, help="only this one of the random cases")
    parser.add_argument("--seed", type=int, default=1, help="of the cases")
    parser.add_argument("--json", type=Path, help="write the rows here too")
    parser.add_argument("--probe", help="a built parity_probe; else cargo builds it")
    return parser.parse_args()


def main():
    args = arguments()
    words = [word.lower() for word in args.only.split(",")]
    chosen = [row for row in ROWS if any(word in row.lower() for word in words)]
    if not chosen or args.count < 1:
        sys.exit(f"parity.cases: nothing to compare; the rows are {', '.join(ROWS)}")
    executable = args.probe or probe.build()
    print(f"Keras {reference.keras.__version__} on {reference.BACKEND}, float64, seed {args.seed}",
          flush=True)
    rows = compare_all(chosen, args, executable)
    if args.json:
        text = json.dumps({"rows": [row.json() for row in rows]}, indent=1, default=float)
        args.json.write_text(text + "\n")
    for row in rows:
        if not row.ok:
            print(f"MISS {row.comparison}: {row.detail}")
    sys.exit(0 if all(row.ok for row in rows) else 1)


def compare_all(chosen, args, executable):
    """Prints each row as soon as it is known."""
    cases = {row: ROWS[row](row, args.count, args.seed) for row in chosen}
    if args.case is not None:
        cases = {row: drawn[args.case : args.case + 1] for row, drawn in cases.items()}
    start = time.monotonic()
    answers = probe.ask([case for row in chosen for case in cases[row]], executable)
    print(f"{sum(map(len, cases.values()))} cases; convae took {time.monotonic() - start:.0f} s")
    print(f"{'comparison':32} {'cases':>5} {'worst':>9} {'bar':>7} {'':4} {'s':>5}")
    rows = []
    # Most of the time goes into compiling, during which other Python threads run.
    threads = ThreadPoolExecutor(THREADS)
    for name in filter(cases.get, chosen):
        start = time.monotonic()
        row = Row(name, cases[name][0].bar, args.seed)
        judged = threads.map(lambda case: case.judge(answers.pop(case.id)), cases[name])
        for case, errors in zip(cases[name], judged, strict=True):
            row.add(case, errors)
        seconds = time.monotonic() - start
        verdict = "ok" if row.ok else "MISS"
        print(f"{name:32} {row.cases:5} {row.measured:9.1e} {row.bar:7.0e} {verdict:4} "
              f"{seconds:5.0f}", flush=True)
        rows.append(row)
    return rows


if __name__ == "__main__":
    main()
