"""Errors of a measurement."""


class CannotMeasure(Exception):
    """A measurement failed; the message says why in one sentence."""
