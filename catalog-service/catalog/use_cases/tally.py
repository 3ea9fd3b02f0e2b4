"""What a copy of the source has read and done so far."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from catalog.domain import Adjustment, Rejection
from catalog.repository.offers import Outcome
from catalog.repository.pages import StoredPage

MAX_LISTED = 100  # Rejections and adjustments in a report; all are counted.


@dataclass
class Tally:
    """The result of a copy so far."""

    pages: int = 0
    unchanged_pages: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    rejected_count: int = 0
    rejected: list[Rejection] = field(default_factory=list)
    adjusted_count: int = 0
    adjusted: list[Adjustment] = field(default_factory=list)
    detail: str | None = None

    @property
    def numbers(self) -> dict[str, int]:
        """Return the counts by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, int)}

    def add(self, outcome: Outcome) -> None:
        """Count the products that a batch added and changed."""
        self.added += outcome.added
        self.changed += outcome.changed

    def reject(self, rejections: Sequence[Rejection]) -> None:
        """Count rejections, and list the first."""
        self.rejected_count += len(rejections)
        self.rejected += rejections[: MAX_LISTED - len(self.rejected)]

    def adjust(self, adjustments: Sequence[Adjustment]) -> None:
        """Count adjustments, and list the first."""
        self.adjusted_count += len(adjustments)
        self.adjusted += adjustments[: MAX_LISTED - len(self.adjusted)]


@dataclass
class Inventory:
    """The products of a source, as it reports them.

    `skus` maps each SKU to its first product, except SKUs that the copy adjusted.
    """

    ids: set[int] = field(default_factory=set)
    skus: dict[str, int] = field(default_factory=dict)
    length: int = 0
    totals: set[int | None] = field(default_factory=set)

    @property
    def is_certain(self) -> bool:
        """Return whether every total that the source reported equals the number of products it returned."""
        return self.totals <= {None, self.length}

    def note_skus(self, page: StoredPage) -> None:
        """Record the SKUs of the products that are new on this page."""
        ids = self.ids | find_renamed(page)
        for offer in page.offers:
            if offer.id not in ids:
                for sku in offer.skus:
                    self.skus.setdefault(sku, offer.id)
                ids.add(offer.id)


def find_renamed(page: StoredPage) -> set[int]:
    """Return the ids of the products whose SKU the copy adjusted."""
    return {each.id for each in page.adjusted or () if each.field == "sku"}
