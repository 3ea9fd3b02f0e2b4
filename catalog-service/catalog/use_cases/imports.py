"""Import products from a file: all of them, or none."""

import logging
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby, islice
from operator import itemgetter
from typing import IO, Any

from catalog.domain import ExportedProduct
from catalog.errors import ImportRefused, ImportRunning, SlugTaken
from catalog.repository import admin, exports, stock, variants
from catalog.repository import imports as repository
from catalog.repository.fetches import note_imported_images
from catalog.repository.import_alts import set_alts
from catalog.repository.import_rows import BESIDE_PRODUCT, OF_PRODUCT
from catalog.repository.import_slugs import set_slugs
from catalog.repository.prices import keep_sale
from catalog.repository.skus import lock_skus
from catalog.repository.slugs import find_owner
from catalog.schemas.admin import OTHER
from catalog.use_cases.import_files import MAX_PROBLEMS, Format, Notes, Read, describe, read_file
from catalog.use_cases.import_plans import Plan, make_plan
from catalog.variants import MAX_VARIANTS, Variant, make_title
from shared.database import Connection, Database
from shared.errors import ValidationFailed

log = logging.getLogger(__name__)

BATCH = 10_000  # Rows that one statement applies.
PLAN_BATCH = 1_000  # Planned rows that one statement records.
PLANNED_AT_ONCE = 50  # Products that one statement reads for their plans.


@dataclass(frozen=True)
class Progress:
    """The progress of an import: its rows, the rows applied so far, and the products added and changed."""

    rows: int
    applied: int
    added: int
    changed: int
    is_done: bool = False
    notes: Notes = field(default_factory=Notes)


def import_products(
    database: Database, body: IO[bytes], currency: str, kind: Format = Format.LINES
) -> Generator[Progress]:
    """Add and change products from rows in one transaction, and yield the progress.

    Raises ImportRunning, or ImportRefused with the invalid rows, before it yields the first step, and later
    SlugTaken if another request takes a slug of the file meanwhile. Orders for products that change wait
    until the end; orders for other products do not.
    """
    notes = Notes()
    with database.transaction() as connection:
        if not repository.begin_import(connection):
            raise ImportRunning
        given: set[str] = set()
        rows, last = _stage(connection, read_file(body, kind, currency, notes), given)
        if not lock_skus(connection):
            raise ImportRunning
        has_plans = repository.match_rows(connection, given)
        if has_plans:
            _record_plans(connection, last)
        problems, total = repository.find_problems(connection, MAX_PROBLEMS, has_plans=has_plans)
        if total:
            errors = [describe(*problem) for problem in problems]
            raise ImportRefused(rows=rows, rejected=total, errors=errors)
        applied = added = changed = 0
        yield Progress(rows, applied, added, changed)
        for start in range(0, last, BATCH):
            batch = {"after": start, "upto": start + BATCH}
            changed += repository.update_rows(connection, given, **batch)
            added += repository.insert_rows(connection, **batch)
            if has_plans:
                more_added, more_changed = _apply_plans(connection, **batch)
                added, changed = added + more_added, changed + more_changed
            applied = min(rows, start + BATCH)
            yield Progress(rows, applied, added, changed)
        _set_slugs(connection)
        set_alts(connection)
        note_imported_images(connection)
    log.info("Products were imported", extra={"rows": rows, "added": added, "changed": changed})
    yield Progress(rows, rows, added, changed, is_done=True, notes=notes)


def _set_slugs(connection: Connection) -> None:
    taken = set_slugs(connection)
    if taken is not None:
        detail = f"A different product has taken the slug {taken} meanwhile."
        raise SlugTaken(detail, product_id=find_owner(connection, taken))


def _stage(connection: Connection, file: Iterator[Read], given: set[str]) -> tuple[int, int]:
    """Copy the rows into the database; return the number of the file's rows, and the last place.

    `given` receives the columns that any row sets.
    """
    rows = place = rejected = 0
    problems: list[dict[str, str]] = []
    with repository.staging(connection) as write:
        for number, found in file:
            rows += 1
            if isinstance(found, ValidationFailed):
                rejected += 1
                if len(problems) < MAX_PROBLEMS:
                    first = found.extra["errors"][0]
                    problems.append(describe(number, first["field"], first["detail"]))
                continue
            for values in found if not rejected else ():
                place += 1
                given.update(values["given"])
                write(place, values)
    if rejected:
        raise ImportRefused(rows=rows, rejected=rejected, errors=problems)
    return rows, place


def _record_plans(connection: Connection, last: int) -> None:
    """Plan all products with further variants, and write what each row is for."""
    recorded: list[dict[str, Any]] = []
    for plan, _product in _read_plans(connection, after=0, upto=last):
        recorded += plan.rows
        if len(recorded) >= PLAN_BATCH:
            repository.record_plans(connection, recorded)
            recorded = []
    repository.record_plans(connection, recorded)


def _apply_plans(connection: Connection, *, after: int, upto: int) -> tuple[int, int]:
    """Apply the plans of these rows; return the numbers of products added and changed."""
    added = changed = 0
    for plan, product in _read_plans(connection, after=after, upto=upto):
        if plan.product_id is None:
            number = _add_product(connection, plan)
            repository.note_added(connection, plan.rows[0]["place"], number)
            added += 1
        elif product is not None and _change_product(connection, product, plan):
            changed += 1
    return added, changed


def _read_plans(
    connection: Connection, *, after: int, upto: int
) -> Iterator[tuple[Plan, ExportedProduct | None]]:
    """Yield the plan of each product, and the locked product itself unless it is new."""
    rows = repository.read_planned(connection, after=after, upto=upto)
    # A plan refuses more lines than a product has variants, so it needs to see only one more.
    groups = (list(islice(each, MAX_VARIANTS + 1)) for _lead, each in groupby(rows, itemgetter("lead")))
    while batch := list(islice(groups, PLANNED_AT_ONCE)):
        ids = [lines[0]["product_id"] for lines in batch if lines[0]["product_id"] is not None]
        found = exports.read_products(connection, ids) if ids else {}
        for lines in batch:
            product = found.get(lines[0]["product_id"])
            options, known = (product.options, product.variants) if product else ((), [])
            yield make_plan(lines, (*OF_PRODUCT, *BESIDE_PRODUCT), options, known), product


def _add_product(connection: Connection, plan: Plan) -> int:
    first, *further = plan.added
    given = {name: value for name, value in plan.product.items() if name in OF_PRODUCT}
    values = {"category": OTHER, "description": "", "images": [], **given, **first.values}
    number = admin.insert_product(connection, values, plan.options, first.on_hand)
    for variant in further:
        variants.insert_variant(connection, number, plan.options, variant.values, variant.on_hand)
    return number


def _change_product(connection: Connection, product: ExportedProduct, plan: Plan) -> bool:
    """Change a product and its variants as planned; return whether anything differs."""
    product_id, known = product.id, product.variants
    current = {**vars(product), "product_metadata": product.metadata}
    own = {name: value for name, value in plan.product.items() if current[name] != value}
    # The alt texts and the slug itself are set for all products at the end. As by the API, a new alt text
    # makes no new version.
    has_new_alts = own.pop("image_alts", None) is not None
    counts: dict[int, int] = {}
    is_changed = False
    for variant in known:
        values = plan.variants.get(variant.id, {})
        if _is_counted(variant, values):
            counts[variant.id] = values["on_hand"]
        differing = {
            name: value
            for name, value in values.items()
            if name != "on_hand" and getattr(variant, name) != value
        }
        if variant.id == product_id:
            own |= differing
        elif differing:
            variants.update_variant(connection, variant.id, keep_sale(differing))
            is_changed = True
    moved = {
        variant.id: plan.option_values[variant.id]
        for variant in known
        if (variant.option_values, variant.title)
        != (plan.option_values[variant.id], make_title(plan.options, plan.option_values[variant.id]))
    }
    has_new_options = product.options != plan.options
    if own:
        own.pop("slug", None)
        admin.update_product(connection, product_id, keep_sale(own))
        is_changed = True
    elif is_changed or moved or has_new_options or plan.added:
        variants.touch_product(connection, product_id)
        is_changed = True
    if moved or has_new_options:
        variants.store_options(connection, product_id, plan.options, moved)
    for new in plan.added:
        variants.insert_variant(connection, product_id, plan.options, new.values, new.on_hand)
    for number, on_hand in counts.items():
        stock.record_count(connection, number, on_hand)
    return is_changed or has_new_alts or bool(counts)


def _is_counted(variant: Variant, values: Mapping[str, Any]) -> bool:
    """Return whether a count differs from the units that the shop owns of the variant."""
    if "on_hand" not in values:
        return False
    return variant.shortfall > 0 or values["on_hand"] != variant.on_hand - variant.shortfall
