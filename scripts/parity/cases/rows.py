"""All comparisons by name: each draws its cases from (row, count, seed)."""

from . import chance, initializers, layers, losses, optimizers, summaries

ROWS = {
    **{row: layers.cases for row in layers.DRAWS},
    **{row: chance.cases for row in chance.KINDS},
    **{row: optimizers.cases for row in optimizers.OWN},
    **{f"loss {name}": losses.cases for name in losses.CLASSES},
    **{f"initializer {name}": initializers.cases for name in initializers.NAMES},
    "summary of shipped configs": summaries.shipped,
    "summary of random models": summaries.drawn,
}
