"""The times of signing keys."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class StoredKey:
    """A signing key as it is stored: when it starts to sign, and until when it verifies (None: no end).

    After a rotation the old key verifies until its last token has expired.
    """

    kid: str
    private_key: str = field(repr=False)
    created_at: datetime
    signs_from: datetime
    verifies_until: datetime | None

    def verifies(self, now: datetime) -> bool:
        """Return whether tokens that this key signed are valid."""
        return self.verifies_until is None or now < self.verifies_until


def find_signer(keys: Iterable[StoredKey], now: datetime) -> StoredKey | None:
    """Return the key that signs now: of the keys that may sign, the one that started last."""
    ready = [key for key in keys if key.signs_from <= now and key.verifies(now)]
    return max(ready, key=lambda key: (key.signs_from, key.kid), default=None)
