"""How the scripts say that they cannot go on: one clear sentence, no traceback."""

from collections.abc import Callable


class Failure(Exception):
    """A sentence for the user: what was wrong, what was received, and the remedy."""


def exit_status(work: Callable[[], None], say: Callable[[str], None], interrupted: str) -> int:
    """Does the work; a failure is said, and what Ctrl-C has left. The status for the shell."""
    try:
        work()
        return 0
    except Failure as failure:
        say(str(failure))
        return 2
    except KeyboardInterrupt:
        say(f"interrupted: {interrupted}")
        return 130
