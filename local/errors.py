"""What ends a start: CannotStart (a sentence for the person at the terminal), StopRequested (a wish)."""


class CannotStart(Exception):
    """Say in one sentence why the stack cannot start."""


class StopRequested(Exception):
    """Unwind to where the stack is stopped: somebody pressed Ctrl-C or sent a signal."""
