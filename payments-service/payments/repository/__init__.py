"""Every statement that touches payments-service's tables; `book` is the simulated provider's alone."""

from datetime import datetime
from uuid import UUID


def first_id(moment: datetime) -> UUID:
    """Return the least id of version 7 that can have been made at a moment (RFC 9562, section 5.7)."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)
