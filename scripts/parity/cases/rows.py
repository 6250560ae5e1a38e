"""All comparisons by name, and how one of them is made."""

import time

from . import chance, graphs, initializers, layers, losses, optimizers, probe, summaries
from .case import Row

# Each draws its cases from (row, count, seed).
ROWS = {
    **{row: layers.cases for row in layers.DRAWS},
    **{row: chance.cases for row in chance.KINDS},
    **{row: optimizers.cases for row in optimizers.OWN},
    **{f"loss {name}": losses.cases for name in losses.CLASSES},
    **{f"initializer {name}": initializers.cases for name in initializers.NAMES},
    **{row: graphs.cases for row in graphs.KINDS},
    "summary of shipped configs": summaries.shipped,
    "summary of random models": summaries.drawn,
}


def compare(name, args):
    """One row, and how long it took."""
    start = time.monotonic()
    cases = ROWS[name](name, args.count, args.seed)
    if args.case is not None:
        cases = [cases[min(args.case, len(cases) - 1)]]
    answers = probe.ask(cases, args.probe)
    row = Row(name, cases[0].bar, args.seed)
    for case in cases:
        row.add(case, case.judge(answers[case.id]))
    return row, time.monotonic() - start
