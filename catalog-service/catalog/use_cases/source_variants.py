"""Copy the variants of a source's product.

The first variant is the product's own row. A variant of the source is the row that it was stored in before,
which its SKU at the source finds, even if an admin changed the SKU here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from catalog.domain import Offer, OfferedVariant
from catalog.errors import OptionValuesInvalid
from catalog.repository import offers as products
from catalog.repository import source_variants as repository
from catalog.repository.offers import Outcome, Owner
from catalog.repository.source_variants import StoredVariant, StoredVariants
from catalog.repository.stock import lock_rows
from catalog.repository.variants import touch_product
from catalog.variants import MAX_VARIANTS, Option, OptionValues, check_values, make_title
from shared.database import Connection

SOLD = ("sku", "unit_amount", "source_on_hand", "compare_at_amount", "weight_grams", "source_image")
# The columns of the own row that are copied with the product. An edit of the stock is called so.
COPIED_WITH_PRODUCT = frozenset({"sku", "unit_amount", "source_on_hand"})
EDITS = {"source_on_hand": "stock"}


@dataclass
class Plan:
    """What a copy has to change in the variants of a product.

    `offer` has the values of the own row. `changes` has new values by variant and column, and `is_sold`.
    """

    offer: Offer
    options: tuple[Option, ...] = ()
    changes: dict[int, dict[str, Any]] = field(default_factory=dict)
    added: list[OfferedVariant] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    has_new_options: bool = False

    @property
    def is_empty(self) -> bool:
        """Return whether the variants are as the source describes them."""
        return not (self.changes or self.added or self.has_new_options)


def copy_variants(
    connection: Connection,
    offer: Offer,
    taken: Mapping[str, Owner],
    *,
    overwrite: bool = False,
    is_new: bool = False,
) -> tuple[Outcome, list[str]]:
    """Write a product that has a row, and its variants; return why variants were left out, too.

    `taken` has the SKUs that an admin assigned, with their owners. A product that this transaction added
    keeps its first version.
    """
    if not is_new:
        known = repository.read_stored(connection, [offer.id], [offer.id])[offer.id]
        lock_rows(connection, [known.own.id, *[each.id for each in known.further]])
    stored = repository.read_stored(connection, [offer.id], [offer.id])[offer.id]
    plan = plan_variants(offer, stored, taken, overwrite=overwrite)
    moved = [number for number, values in plan.changes.items() if values.get("option_values")]
    repository.clear_values(connection, moved)
    written = products.copy_offers(connection, [plan.offer], overwrite=overwrite)
    if plan.has_new_options:
        repository.store_source_options(connection, offer.id, plan.options)
    # Variants end before others get their option values.
    for number, values in sorted(plan.changes.items(), key=lambda item: item[1].get("is_sold", True)):
        repository.follow_offered(connection, number, plan.options, values, is_new=is_new)
    for variant in plan.added:
        repository.add_offered(connection, offer.id, plan.options, variant)
    if written.changed or plan.is_empty:
        return written, plan.left_out
    if offer.id not in plan.changes:
        touch_product(connection, offer.id)
    return Outcome(0, 1), plan.left_out


def plan_variants(
    offer: Offer, stored: StoredVariants, taken: Mapping[str, Owner], *, overwrite: bool
) -> Plan:
    """Return what has to change so that a product has the variants of its offer.

    What an admin edited stays, and so do variants that an admin added.
    """
    planner = _Planner(offer, stored, taken, overwrite=overwrite)
    return planner.plan()


class _Planner:
    def __init__(
        self, offer: Offer, stored: StoredVariants, taken: Mapping[str, Owner], *, overwrite: bool
    ) -> None:
        self._offer = offer
        self._stored = stored
        self._taken = taken
        self._overwrite = overwrite
        self._own = stored.own
        self._added_here = [row for row in stored.further if row.source_sku is None and row.is_sold]
        self._offered = offer.variants or ()
        self._plan = Plan(offer)
        self._sold: list[int] = []
        self._combinations = {_combine(row.option_values) for row in self._added_here}

    def plan(self) -> Plan:
        self._choose_options()
        if not self._offered:
            self._follow_only_variant()
        else:
            self._follow_variants()
        self._end_others()
        return self._plan

    def _choose_options(self) -> None:
        """Keep the options if an admin set them, or if an added variant would not fit the source's."""
        current, offered = self._stored.options, self._offer.options
        fit = all(_fits(offered, row.option_values) for row in self._added_here)
        self._keeps_options = self._is_kept(self._own, "options") or not fit
        self._plan.options = current if self._keeps_options else offered
        self._plan.has_new_options = self._plan.options != current
        if self._keeps_options and offered and offered != current:
            self._plan.left_out.append("The options stay as an admin set them.")

    def _follow_only_variant(self) -> None:
        values = self._own.option_values if self._plan.options else None
        is_replaced = "withdrawn" in self._own.edited and self._added_here
        if not is_replaced and _combine(values) not in self._combinations:
            self._keep_sold(self._own, {"option_values": values})

    def _follow_variants(self) -> None:
        rows = {row.source_sku: row for row in [self._own, *self._stored.further] if row.source_sku}
        skus = {variant.sku for variant in self._offered}
        if self._own.source_sku is None:
            # The product had no variants until now.
            free = [
                sku for sku in (self._own.values["sku"], self._offer.sku) if sku in skus and sku not in rows
            ]
            if free:
                rows[free[0]] = self._own
        for variant in self._offered:
            row = rows.get(variant.sku)
            reason = self._follow(variant, row)
            if reason:
                self._plan.left_out.append(f"{variant.sku} is left out: {reason}")

    def _follow(self, variant: OfferedVariant, row: StoredVariant | None) -> str | None:
        """Plan to sell a variant unless an admin withdrew it; return why it cannot be sold, or None."""
        if row is not None and "withdrawn" in row.edited:
            return None
        values: OptionValues | None = variant.option_values
        if row and row.option_values and (self._keeps_options or self._is_kept(row, "option_values")):
            values = row.option_values
        if reason := self._find_obstacle(variant, row, values):
            return reason
        self._combinations.add(_combine(values))
        if row is None:
            self._plan.added.append(variant)
            self._sold.append(0)
            return None
        new = {name: getattr(variant, name) for name in SOLD}
        if row is self._own:
            own = {name: new.pop(name) for name in COPIED_WITH_PRODUCT}
            self._plan.offer = replace(self._offer, **own)
        self._keep_sold(row, {**new, "option_values": values}, source_sku=variant.sku)
        return None

    def _find_obstacle(
        self, variant: OfferedVariant, row: StoredVariant | None, values: OptionValues | None
    ) -> str | None:
        owner = self._taken.get(variant.sku)
        has_own_sku = row is not None and self._is_kept(row, "sku")
        if owner is not None and not has_own_sku and (row is None or owner.variant_id != row.id):
            return f"variant {owner.variant_id} has this SKU."
        if not _fits(self._plan.options, values):
            return "the product has other options."
        if _combine(values) in self._combinations:
            return "another variant has the same options."
        if len(self._sold) + len(self._added_here) >= MAX_VARIANTS:
            return f"a product has at most {MAX_VARIANTS} variants."
        return None

    def _keep_sold(self, row: StoredVariant, new: dict[str, Any], source_sku: str | None = None) -> None:
        self._sold.append(row.id)
        changes = {
            name: value
            for name, value in new.items()
            if value != row.values[name]
            and (name == "option_values" or not self._is_kept(row, EDITS.get(name, name)))
        }
        if source_sku and source_sku != row.source_sku:
            changes["source_sku"] = source_sku
        title = make_title(self._plan.options, new["option_values"])
        if title != row.title:
            changes["option_values"] = new["option_values"]
        if not row.is_sold:
            changes["is_sold"] = True
        if row is not self._own and self._overwrite and row.edited - {"withdrawn"}:
            changes["discards_edits"] = True
        if changes:
            self._plan.changes[row.id] = changes

    def _end_others(self) -> None:
        for row in self._stored.further:
            if row.source_sku is not None and row.is_sold and row.id not in self._sold:
                self._plan.changes[row.id] = {"is_sold": False}
        if self._own.id in self._sold:
            return
        # The row keeps what it was sold for.
        kept = {name: self._own.values[name] for name in COPIED_WITH_PRODUCT}
        kept["source_on_hand"] = kept["source_on_hand"] or 0
        self._plan.offer = replace(self._offer, **kept)
        if not self._sold and not self._added_here:
            # A product keeps at least one variant.
            if not self._own.is_sold:
                self._plan.changes[self._own.id] = {"is_sold": True}
        elif self._own.is_sold:
            self._plan.changes[self._own.id] = {"is_sold": False}

    def _is_kept(self, row: StoredVariant, name: str) -> bool:
        return not self._overwrite and name in row.edited


def _fits(options: Sequence[Option], values: OptionValues | None) -> bool:
    try:
        check_values(options, values)
    except OptionValuesInvalid:
        return False
    return True


def _combine(values: OptionValues | None) -> frozenset[tuple[str, str]]:
    return frozenset((values or {}).items())


def leave_out(offer: Offer, owners: Mapping[str, int]) -> tuple[Offer, list[str]]:
    """Return the offer without the variants whose SKU another product of the source has, and the reasons."""
    others = {sku: owners[sku] for sku in offer.skus[1:] if owners.get(sku, offer.id) != offer.id}
    if not others:
        return offer, []
    kept = tuple(variant for variant in offer.variants or () if variant.sku not in others)
    reasons = [f"{sku} is left out: product {owner} has this SKU." for sku, owner in others.items()]
    return replace(offer, variants=kept), reasons


def list_offering(offers: Iterable[Offer]) -> list[int]:
    """Return the products for which the source offers variants."""
    return [offer.id for offer in offers if offer.variants]
