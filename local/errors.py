"""Errors of the stack: CannotStart and StopRequested."""


class CannotStart(Exception):
    """The stack cannot start; the message says why in one sentence."""


class StopRequested(Exception):
    """Ctrl-C or a signal asks the stack to stop."""
