"""What a load is told."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """Which scenario, against which shop, with how many clients, and for how many seconds."""

    scenario: str
    url: str
    clients: int
    warm_up: float
    seconds: float
