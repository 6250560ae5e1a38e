"""How the package says that it cannot go on: one clear sentence, no traceback."""


class Failure(Exception):
    """A sentence for the user: what was wrong, what was received, and the remedy."""
