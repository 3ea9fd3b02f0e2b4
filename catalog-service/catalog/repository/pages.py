"""The pages of the source as last read."""

from collections.abc import Sequence, Set
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, column, delete, func, select, true, update
from sqlalchemy.dialects.postgresql import JSONB, insert

from catalog.domain import Adjustment, Offer, Rejection
from catalog.tables import source_pages

OFFERS = TypeAdapter(list[Offer])


@dataclass(frozen=True)
class StoredPage:
    """A page of the source: its offers, rejections and adjustments, and its validators.

    `adjusted` is None if a replica of the previous release read the page, which rejected such products.
    """

    skip: int
    page_limit: int
    etag: str | None
    last_modified: str | None
    total: int | None
    length: int
    offers: list[Offer]
    rejected: list[Rejection]
    adjusted: list[Adjustment] | None

    @property
    def is_of_this_release(self) -> bool:
        """Return whether a replica of this release read the page, and so its variants too."""
        return self.adjusted is not None and all(offer.variants is not None for offer in self.offers)


def store_page(connection: Connection, fence: int, page: StoredPage) -> None:
    """Store a page in place of the previous one."""
    values = {
        **vars(page),
        "fence": fence,
        "offers": to_json(page.offers),
        "rejected": [asdict(each) for each in page.rejected],
        "adjusted": [asdict(each) for each in page.adjusted or ()],
    }
    statement = insert(source_pages).values(values)
    connection.execute(statement.on_conflict_do_update(index_elements=["skip"], set_=values))


def confirm_page(connection: Connection, fence: int, skip: int) -> None:
    """Add an unchanged page to the copy."""
    connection.execute(update(source_pages).where(source_pages.c.skip == skip).values(fence=fence))


def find_page(connection: Connection, skip: int) -> StoredPage | None:
    """Return the page as last read, or None."""
    row = connection.execute(select(source_pages).where(source_pages.c.skip == skip)).first()
    return _page(row) if row else None


def list_skips(connection: Connection, fence: int) -> list[int]:
    """Return the offsets of the pages of a copy, in order."""
    query = select(source_pages.c.skip).where(source_pages.c.fence == fence).order_by(source_pages.c.skip)
    return list(connection.execute(query).scalars())


def drop_other_pages(connection: Connection, fence: int) -> None:
    """Delete the pages of other copies."""
    connection.execute(delete(source_pages).where(source_pages.c.fence != fence))


def find_offer(connection: Connection, product_id: int) -> Offer | None:
    """Return the product as the source last described it, or None."""
    each = func.jsonb_array_elements(source_pages.c.offers).table_valued(column("value", JSONB), name="offer")
    found = select(each.c.value).select_from(source_pages).join(each, true())
    raw = connection.execute(found.where(each.c.value["id"].as_string() == str(product_id)).limit(1)).scalar()
    return OFFERS.validate_python([raw])[0] if raw else None


def to_json(offers: Sequence[Offer], *, without: Set[str] = frozenset()) -> Any:
    """Return the offers as JSON values, without these fields; decimals become strings."""
    exclude: Any = {"__all__": without} if without else None
    return OFFERS.dump_python(list(offers), mode="json", exclude=exclude)


def _page(row: Any) -> StoredPage:
    values = dict(row._mapping)
    del values["fence"]
    values["offers"] = OFFERS.validate_python(values["offers"])
    values["rejected"] = [Rejection(**each) for each in values["rejected"]]
    if values["adjusted"] is not None:
        values["adjusted"] = [Adjustment(**each) for each in values["adjusted"]]
    return StoredPage(**values)
