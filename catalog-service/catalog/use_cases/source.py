"""Copying the product source."""

import logging
import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from catalog.domain import Adjustment, Claim, Offer, Rejection, SyncStatus, name_by_id
from catalog.errors import CopyRefused, UpstreamFailed
from catalog.repository import offers as repository
from catalog.repository import pages
from catalog.repository import source as source_copies
from catalog.repository.pages import StoredPage
from catalog.sources import LONGEST_REASON, Known, Page, Source, to_offer
from shared.database import Connection, Database

log = logging.getLogger(__name__)

LEASE = 120  # Seconds for which one replica has the copying to itself, anew with each page.
LONGEST_BACK_OFF = 60.0
LONGEST_RETRY_AFTER = 900.0  # Seconds; a source may ask for more, and does not get it.
MOST_NAMED = 100  # Rejections and adjustments of one copy; all are counted.
# A source that has lost more than half of its products is broken; of so few it may just have sold out.
FEW = 10
BATCH = 500


class Superseded(Exception):
    """Another replica has begun a newer copy, and this one may not write any more."""


@dataclass
class Tally:
    """What a copy has done so far."""

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
        """Return the counts by their names."""
        return {name: value for name, value in vars(self).items() if isinstance(value, int)}

    def reject(self, rejections: Iterable[Rejection]) -> None:
        """Count rejections, and keep the first."""
        for each in rejections:
            self.rejected_count += 1
            if len(self.rejected) < MOST_NAMED:
                self.rejected.append(each)

    def adjust(self, adjustments: Iterable[Adjustment]) -> None:
        """Count adjustments, and keep the first."""
        for each in adjustments:
            self.adjusted_count += 1
            if len(self.adjusted) < MOST_NAMED:
                self.adjusted.append(each)


@dataclass
class Inventory:
    """Which products a source has, by its own account of them.

    `skus` has the first product of each SKU, but for SKUs that the source writes otherwise.
    """

    ids: set[int] = field(default_factory=set)
    skus: dict[str, int] = field(default_factory=dict)
    length: int = 0
    totals: set[int | None] = field(default_factory=set)

    @property
    def is_certain(self) -> bool:
        """Tell whether the source said the same on each page of how many it has, and gave as many."""
        return self.totals <= {None, self.length}

    def note_skus(self, page: StoredPage) -> None:
        """Note which products of a page, and of none before, have which SKUs."""
        ids = self.ids | _find_renamed(page)
        for offer in page.offers:
            if offer.id not in ids:
                self.skus.setdefault(offer.sku, offer.id)
                ids.add(offer.id)


def copy_source(database: Database, source: Source, currency: str) -> bool:
    """Copy the source into the catalogue if that is due and no other replica is at it; tell whether it was.

    What is on sale changes after the last page has come, in batches: whoever looks meanwhile sees each
    product whole, as it was or as it will be. A new source's are not served before the last of them is there.
    """
    with database.transaction() as connection:
        claim = source_copies.claim_copy(connection, source.name, LEASE)
    if claim is None:
        return False
    tally = Tally()
    try:
        inventory = _fetch(database, source, currency, claim, tally)
        gone = _find_gone(database, claim, inventory, tally)
        _apply(database, claim, inventory.skus, tally)
        _remove(database, claim, gone, tally)
        with database.transaction() as connection:
            _keep(connection, claim)
            pages.drop_other_pages(connection, claim.fence)
            source_copies.record_copy(connection, claim.fence, source.refresh_seconds)
            _report(connection, claim, SyncStatus.DONE, tally, tally.detail)
    except UpstreamFailed as error:
        log.warning(
            "The product source failed: %s", error.detail, extra={"http.response.status_code": error.status}
        )
        _record_failure(database, source, claim, tally, error)
    except Superseded:
        log.warning("A copy of the product source was left to a newer one")
    else:
        log.info("The product source was copied", extra=tally.numbers)
    return True


def _fetch(database: Database, source: Source, currency: str, claim: Claim, tally: Tally) -> Inventory:
    """Read the source to its end, and keep its pages; nothing that is on sale changes yet."""
    inventory = Inventory()

    def find_known(skip: int, limit: int) -> Known | None:
        with database.transaction() as connection:
            page = pages.find_page(connection, skip)
        if page is None or page.adjusted is None:
            return None
        if page.page_limit != limit or not (page.etag or page.last_modified):
            return None
        return Known(page.etag, page.last_modified, page.total, page.length)

    for page in source.read_pages(find_known, is_probe=claim.is_probing):
        with database.transaction() as connection:
            _keep(connection, claim)
            if page.products is None:
                stored = pages.find_page(connection, page.skip)
                assert stored is not None  # noqa: S101  # No other replica writes pages while the claim holds.
            else:
                stored = _read_page(page, page.products, currency)
            ids = {offer.id for offer in stored.offers} | {each.id for each in stored.rejected if each.id}
            if ids and ids <= inventory.ids:
                break  # It begins again, whatever it was asked for.
            if page.products is None:
                pages.confirm_page(connection, claim.fence, page.skip)
                tally.unchanged_pages += 1
            else:
                pages.store_page(connection, claim.fence, stored)
        tally.pages += 1
        tally.reject(stored.rejected)
        tally.adjust(stored.adjusted or ())
        inventory.note_skus(stored)
        inventory.ids |= ids
        inventory.length += stored.length
        # A page that did not change says nothing new of how many there are.
        inventory.totals.add(None if page.products is None else stored.total)
    return inventory


def _find_gone(database: Database, claim: Claim, inventory: Inventory, tally: Tally) -> list[int]:
    """Return the products that the source has no more; raise CopyRefused if that is not to be believed."""
    with database.transaction() as connection:
        known = repository.read_source_ids(connection)
    gone = [number for number in known if number not in inventory.ids]
    if claim.is_first or claim.allow_removals:
        return gone
    if len(gone) > max(FEW, len(known) // 2):
        raise CopyRefused(len(gone), len(known))
    if gone and not inventory.is_certain:
        tally.detail = (
            f"{len(gone)} products were missing and stay on sale: the source gave {inventory.length}, and"
            " that is not how many it says it has."
        )
        return []
    return gone


def _apply(database: Database, claim: Claim, skus: dict[str, int], tally: Tally) -> None:
    ids: set[int] = set()
    with database.transaction() as connection:
        skips = pages.list_skips(connection, claim.fence)
    for skip in skips:
        with database.transaction() as connection:
            _keep(connection, claim)
            page = pages.find_page(connection, skip)
            assert page is not None  # noqa: S101  # No other replica writes pages while the claim holds.
            renamed = _find_renamed(page)
            names = [offer.sku for offer in page.offers] + [name_by_id(number) for number in renamed]
            taken = repository.find_taken_skus(connection, names)
            good = []
            for offer in page.offers:
                if offer.id in ids:
                    tally.reject([Rejection("id: It was there before.", offer.id)])
                    continue
                ids.add(offer.id)
                owner = taken.get(offer.sku) or skus.setdefault(offer.sku, offer.id)
                if owner != offer.id and offer.id in renamed:
                    # The source tells the two apart, and so do we.
                    sku = name_by_id(offer.id)
                    reason = f'"{offer.sku}" is the one of product {owner}; it is "{sku}" here.'
                    tally.adjust([Adjustment(offer.id, "sku", reason)])
                    offer = replace(offer, sku=sku)  # noqa: PLW2901  # The offer that is looked at from here on.
                    owner = taken.get(sku) or skus.setdefault(sku, offer.id)
                if owner != offer.id:
                    tally.reject([Rejection(f"sku: It is the one of product {owner}.", offer.id)])
                else:
                    good.append(offer)
            outcome = repository.copy_offers(connection, good, overwrite=claim.overwrite)
        tally.added += outcome.added
        tally.changed += outcome.changed


def _remove(database: Database, claim: Claim, gone: list[int], tally: Tally) -> None:
    for start in range(0, len(gone), BATCH):
        with database.transaction() as connection:
            _keep(connection, claim)
            tally.removed += repository.remove_products(connection, gone[start : start + BATCH])


def _record_failure(
    database: Database, source: Source, claim: Claim, tally: Tally, error: UpstreamFailed
) -> None:
    status = SyncStatus.REFUSED if isinstance(error, CopyRefused) else SyncStatus.FAILED
    with database.transaction() as connection:
        failures = source_copies.read_source_copy(connection).failures
        wait = min(2.0**failures, LONGEST_BACK_OFF, source.refresh_seconds or LONGEST_BACK_OFF)
        wait *= random.uniform(0.75, 1.25)  # noqa: S311  # So that the source's clients do not all come at once.
        wait = max(wait, min(error.retry_after or 0.0, LONGEST_RETRY_AFTER))
        source_copies.record_failure(connection, claim.fence, error.status, error.detail, wait)
        _report(connection, claim, status, tally, error.detail)


def _report(
    connection: Connection, claim: Claim, status: SyncStatus, tally: Tally, detail: str | None
) -> None:
    source_copies.finish_report(
        connection, claim.fence, status, detail, tally.numbers, tally.rejected, tally.adjusted
    )


def _keep(connection: Connection, claim: Claim) -> None:
    if not source_copies.keep_claim(connection, claim.fence, LEASE):
        raise Superseded


def _find_renamed(page: StoredPage) -> set[int]:
    """Return the products that do not have the SKU here that the source writes."""
    return {each.id for each in page.adjusted or () if each.field == "sku"}


def _read_page(page: Page, raws: list[Any], currency: str) -> StoredPage:
    """Return what a page offers, and what of it is no product; one bad one never spoils the others."""
    offers: list[Offer] = []
    rejected: list[Rejection] = []
    adjusted: list[Adjustment] = []
    for raw in raws:
        try:
            offer, changes = to_offer(raw, currency)
            offers.append(offer)
            adjusted += changes
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"][:1])
            reason = f"{place}: {first['msg']}" if place else "It is no object."
            reason = "It is too large." if page.is_too_large else reason
            rejected.append(Rejection(reason[:LONGEST_REASON], _read_id(raw)))
    return StoredPage(
        skip=page.skip,
        page_limit=page.limit,
        etag=page.etag,
        last_modified=page.last_modified,
        total=page.total,
        length=len(raws),
        offers=offers,
        rejected=rejected,
        adjusted=adjusted,
    )


def _read_id(raw: Any) -> int | None:
    number = raw.get("id") if isinstance(raw, dict) else None
    return number if type(number) is int and 0 < number < 2**53 else None
