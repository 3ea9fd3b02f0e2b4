"""Why a measurement failed."""


class CannotMeasure(Exception):
    """Say in one sentence why there are no numbers."""
