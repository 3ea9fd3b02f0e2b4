"""Copy the product source into the catalogue."""

import logging
import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from catalog.domain import Adjustment, Claim, Offer, Rejection, SyncStatus, default_sku
from catalog.errors import CopyRefused, UpstreamFailed
from catalog.repository import offers as repository
from catalog.repository import pages
from catalog.repository import source as source_copies
from catalog.repository.offers import Owner
from catalog.repository.pages import StoredPage
from catalog.repository.source_variants import read_stored
from catalog.sources import MAX_REASON, KnownPage, Page, Source, to_offer
from catalog.use_cases.source_variants import copy_variants, leave_out, list_offering, plan_variants
from catalog.use_cases.tally import Inventory, Tally, find_renamed
from shared.database import Connection, Database

log = logging.getLogger(__name__)

LEASE = 120  # Seconds for which one replica may copy alone; each page extends the lease.
MAX_BACKOFF = 60.0  # Seconds.
MAX_RETRY_AFTER = 900.0  # Seconds; a longer Retry-After of the source is capped.
# A source that loses more than half of its products counts as broken, but a loss of this many is always
# accepted.
ACCEPTED_LOSS = 10
BATCH = 500


class Superseded(Exception):
    """Another replica has begun a newer copy, so this one must stop writing."""


def copy_source(database: Database, source: Source, currency: str) -> bool:
    """Copy the source if a copy is due and no other replica is copying; return whether this one did.

    The catalogue changes in batches after the last page has arrived. Meanwhile each product is served in
    either its old or its new state, never a mix. Products of a new source are served only when its copy is
    complete.
    """
    with database.transaction() as connection:
        claim = source_copies.claim_copy(connection, source.name, LEASE, source.edition)
    if claim is None:
        return False
    tally = Tally()
    try:
        inventory = _fetch(database, source, currency, claim, tally)
        missing = _find_missing(database, claim, inventory, tally)
        _apply(database, claim, inventory.skus, tally)
        _remove(database, claim, missing, tally)
        with database.transaction() as connection:
            _extend(connection, claim)
            pages.drop_other_pages(connection, claim.fence)
            source_copies.record_copy(connection, claim.fence, source.refresh_seconds)
            _report(connection, claim, SyncStatus.DONE, tally, tally.detail)
    except UpstreamFailed as error:
        log.warning(
            "The product source failed: %s", error.detail, extra={"http.response.status_code": error.status}
        )
        _record_failure(database, source, claim, tally, error)
    except Superseded:
        log.warning("A newer copy of the product source superseded this one")
    else:
        log.info("The product source was copied", extra=tally.numbers)
    return True


def _fetch(database: Database, source: Source, currency: str, claim: Claim, tally: Tally) -> Inventory:
    """Read all pages of the source and store them; the products for sale do not change yet."""
    inventory = Inventory()

    def find_known(skip: int, limit: int) -> KnownPage | None:
        with database.transaction() as connection:
            page = pages.find_page(connection, skip)
        if page is None or not page.is_of_this_release:
            return None
        if page.page_limit != limit or not (page.etag or page.last_modified):
            return None
        return KnownPage(page.etag, page.last_modified, page.total, page.length)

    for page in source.read_pages(find_known, is_probe=claim.is_probing):
        with database.transaction() as connection:
            _extend(connection, claim)
            if page.products is None:
                stored = pages.find_page(connection, page.skip)
                assert stored is not None  # noqa: S101  # No other replica writes pages while the claim holds.
            else:
                stored = _read_page(page, page.products, currency)
            ids = {offer.id for offer in stored.offers} | {each.id for each in stored.rejected if each.id}
            if ids and ids <= inventory.ids:
                break  # The source ignores `skip` and starts over.
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
        # An unchanged page does not report a new total.
        inventory.totals.add(None if page.products is None else stored.total)
    return inventory


def _find_missing(database: Database, claim: Claim, inventory: Inventory, tally: Tally) -> list[int]:
    """Return the products that the source no longer has; raise CopyRefused if there are too many."""
    with database.transaction() as connection:
        known = repository.read_source_ids(connection)
    missing = [number for number in known if number not in inventory.ids]
    if claim.is_first or claim.allow_removals:
        return missing
    if len(missing) > max(ACCEPTED_LOSS, len(known) // 2):
        raise CopyRefused(len(missing), len(known))
    if missing and not inventory.is_certain:
        tally.detail = (
            f"{len(missing)} products were missing but stay for sale: the source returned {inventory.length}"
            " products, which does not match its own total."
        )
        return []
    return missing


def _apply(database: Database, claim: Claim, skus: dict[str, int], tally: Tally) -> None:
    ids: set[int] = set()
    with database.transaction() as connection:
        skips = pages.list_skips(connection, claim.fence)
    for skip in skips:
        with database.transaction() as connection:
            _extend(connection, claim)
            page = pages.find_page(connection, skip)
            assert page is not None  # noqa: S101  # No other replica writes pages while the claim holds.
            taken = repository.find_taken_skus(connection, _list_skus(page))
            good = _select(page, ids, taken, skus, tally)
            stored = read_stored(connection, [offer.id for offer in good], list_offering(good))
            plain: list[Offer] = []
            new = [offer for offer in good if offer.variants and offer.id not in stored]
            # Products whose variants change follow each in an own transaction, which locks its rows in order.
            moving: list[Offer] = []
            for offer in good:
                if offer.id not in stored:
                    plain.append(offer)
                    continue
                plan = plan_variants(offer, stored[offer.id], taken, overwrite=claim.overwrite)
                if plan.is_empty:
                    plain.append(plan.offer)
                    tally.adjust(_explain(offer, plan.left_out))
                else:
                    moving.append(offer)
            tally.add(repository.copy_offers(connection, plain, overwrite=claim.overwrite))
            for offer in new:
                _outcome, left_out = copy_variants(connection, offer, taken, is_new=True)
                tally.adjust(_explain(offer, left_out))
        for offer in moving:
            with database.transaction() as connection:
                _extend(connection, claim)
                outcome, left_out = copy_variants(connection, offer, taken, overwrite=claim.overwrite)
            tally.add(outcome)
            tally.adjust(_explain(offer, left_out))


def _list_skus(page: StoredPage) -> list[str]:
    """Return the SKUs that the products of a page have, or have if theirs are taken."""
    return [
        *[sku for offer in page.offers for sku in offer.skus],
        *[default_sku(number) for number in find_renamed(page)],
    ]


def _select(
    page: StoredPage, ids: set[int], taken: Mapping[str, Owner], skus: dict[str, int], tally: Tally
) -> list[Offer]:
    """Return the offers of a page without those that clash with others; add their ids to `ids`."""
    renamed = find_renamed(page)

    def find_owner(sku: str, number: int) -> int:
        return taken[sku].product_id if sku in taken else skus.setdefault(sku, number)

    good = []
    for offer in page.offers:
        if offer.id in ids:
            tally.reject([Rejection("id: An earlier product has this id.", offer.id)])
            continue
        ids.add(offer.id)
        owner = find_owner(offer.sku, offer.id)
        if owner != offer.id and offer.id in renamed:
            # The source's own SKUs differ, so both products stay.
            sku = default_sku(offer.id)
            reason = f'Stored as "{sku}": product {owner} has the SKU "{offer.sku}".'
            tally.adjust([Adjustment(offer.id, "sku", reason)])
            offer = replace(offer, sku=sku)  # noqa: PLW2901  # The copy stores this offer.
            owner = find_owner(sku, offer.id)
        if owner != offer.id:
            tally.reject([Rejection(f"sku: Product {owner} has this SKU.", offer.id)])
        elif offer.variants:
            for each in offer.skus:
                skus.setdefault(each, offer.id)
            offered, left_out = leave_out(offer, skus)
            tally.adjust(_explain(offer, left_out))
            good.append(offered)
        else:
            good.append(offer)
    return good


def _explain(offer: Offer, reasons: Iterable[str]) -> list[Adjustment]:
    return [Adjustment(offer.id, "variants", reason[:MAX_REASON]) for reason in reasons]


def _remove(database: Database, claim: Claim, missing: list[int], tally: Tally) -> None:
    for start in range(0, len(missing), BATCH):
        with database.transaction() as connection:
            _extend(connection, claim)
            tally.removed += repository.remove_products(connection, missing[start : start + BATCH])


def _record_failure(
    database: Database, source: Source, claim: Claim, tally: Tally, error: UpstreamFailed
) -> None:
    status = SyncStatus.REFUSED if isinstance(error, CopyRefused) else SyncStatus.FAILED
    with database.transaction() as connection:
        failures = source_copies.read_source_copy(connection).failures
        wait = min(2.0**failures, MAX_BACKOFF, source.refresh_seconds or MAX_BACKOFF)
        wait *= random.uniform(0.75, 1.25)  # noqa: S311  # Jitter spreads the source's clients.
        wait = max(wait, min(error.retry_after or 0.0, MAX_RETRY_AFTER))
        source_copies.record_failure(connection, claim.fence, error.status, error.detail, wait)
        _report(connection, claim, status, tally, error.detail)


def _report(
    connection: Connection, claim: Claim, status: SyncStatus, tally: Tally, detail: str | None
) -> None:
    source_copies.finish_report(
        connection, claim.fence, status, detail, tally.numbers, tally.rejected, tally.adjusted
    )


def _extend(connection: Connection, claim: Claim) -> None:
    if not source_copies.extend_claim(connection, claim.fence, LEASE):
        raise Superseded


def _read_page(page: Page, raws: list[Any], currency: str) -> StoredPage:
    """Return the offers of a page, and its rejections; an invalid product does not affect the others."""
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
            reason = f"{place}: {first['msg']}" if place else "Not a JSON object."
            reason = "The product is too large." if page.is_too_large else reason
            rejected.append(Rejection(reason[:MAX_REASON], _read_id(raw)))
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
