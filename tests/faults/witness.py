"""The responses to the customers of a storm, which must hold true afterwards."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any


@dataclass(frozen=True)
class Claim:
    """A response about an order, and a check of the final order against it."""

    order_id: str
    response: str
    is_true: Callable[[dict[str, Any]], bool]


class Witness:
    """All responses to the customers, and all violations."""

    def __init__(self) -> None:
        self.claims: list[Claim] = []
        self.violations: list[str] = []
        self.counted: Counter[str] = Counter()
        self._lock = Lock()

    def note(self, order_id: str, response: str, is_true: Callable[[dict[str, Any]], bool]) -> None:
        """Record a claim."""
        with self._lock:
            self.counted[response.partition(":")[0]] += 1
            self.claims.append(Claim(order_id, response, is_true))

    def complain(self, violation: str) -> None:
        """Record a response or an event that no fault excuses."""
        with self._lock:
            self.violations.append(violation)
