"""Draws the cases, has both sides answer, prints the table; exits with 1 on a miss."""

import argparse
import functools
import json
import multiprocessing
import sys
from pathlib import Path

from . import probe, reference
from .rows import ROWS, compare

# Of Keras, which spends most of the time compiling on one core.
PROCESSES = 2


def main():
    args = arguments()
    words = [word.lower() for word in args.only.split(",")]
    chosen = [row for row in ROWS if any(word in row.lower() for word in words)]
    if not chosen or args.count < 1:
        sys.exit(f"parity.cases: nothing to compare; the rows are {', '.join(ROWS)}")
    args.probe = args.probe or probe.build()
    print(f"Keras {reference.keras.__version__} on {reference.BACKEND}, float64, seed {args.seed}")
    rows = compare_all(chosen, args)
    if args.json:
        text = json.dumps({"rows": [row.json() for row in rows]}, indent=1, default=float)
        args.json.write_text(text + "\n")
    for row in rows:
        if not row.ok:
            print(f"MISS {row.comparison}: {row.detail}")
    sys.exit(0 if all(row.ok for row in rows) else 1)


def arguments():
    parser = argparse.ArgumentParser(prog="python -m parity.cases", description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="random cases of each row")
    parser.add_argument("--only", default="", help="rows whose name has one of these words, A,B")
    parser.add_argument("--case", type=int, help="only this one of the random cases")
    parser.add_argument("--seed", type=int, default=1, help="of the cases")
    parser.add_argument("--json", type=Path, help="write the rows here too")
    parser.add_argument("--probe", help="a built parity_probe; else cargo builds it")
    return parser.parse_args()


def compare_all(chosen, args):
    """Prints each row as soon as it and those before it are known."""
    print(f"{'comparison':32} {'cases':>5} {'worst':>9} {'bar':>7} {'':4} {'s':>5}", flush=True)
    rows = []
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        for row, seconds in pool.imap(functools.partial(compare, args=args), chosen):
            verdict = "ok" if row.ok else "MISS"
            print(f"{row.comparison:32} {row.cases:5} {row.measured:9.1e} {row.bar:7.0e} "
                  f"{verdict:4} {seconds:5.0f}", flush=True)
            rows.append(row)
    return rows


if __name__ == "__main__":
    main()
