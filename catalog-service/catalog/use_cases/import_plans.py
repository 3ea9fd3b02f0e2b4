"""Plan what an import does to a product with options: which variants it adds and changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from catalog.errors import OptionValuesInvalid
from catalog.repository.import_rows import OF_VARIANT
from catalog.schemas.variants import Options
from catalog.variants import (
    MAX_VARIANTS,
    NewVariant,
    Option,
    OptionValues,
    Variant,
    check_values,
)

SEVERAL = "The product has several variants; give the variant_id, the SKU or the options of one."
NO_OPTIONS = "The product has several lines; give each a value for each of its options."
NO_VALUES = "Give the variant a value for each option of the product."
TOO_MANY = f"A product has at most {MAX_VARIANTS} variants."
CHECKED: TypeAdapter[Any] = TypeAdapter(Options)

# A row as the import has staged and matched it.
Line = Mapping[str, Any]


class RowInvalid(ValueError):
    """A row that the plan of its product does not allow."""

    def __init__(self, line: Line, name: str, detail: str) -> None:
        super().__init__(detail)
        self.line, self.field, self.detail = line, name, detail


@dataclass
class Plan:
    """What the rows of a product change; `product_id` is None for a new product.

    `variants` has the new values of known variants by column, their counted stock as `on_hand` included.
    `option_values` has the values of all known variants.
    """

    product_id: int | None
    product: dict[str, Any] = field(default_factory=dict)
    options: tuple[Option, ...] = ()
    option_values: dict[int, OptionValues | None] = field(default_factory=dict)
    variants: dict[int, dict[str, Any]] = field(default_factory=dict)
    added: list[NewVariant] = field(default_factory=list)
    # What the rows are for, as `record_plans` stores it.
    rows: list[dict[str, Any]] = field(default_factory=list)


def make_plan(
    lines: Sequence[Line],
    columns: Sequence[str],
    options: Sequence[Option],
    known: Sequence[Variant],
) -> Plan:
    """Return the plan of a product with these options and known variants; its rows have the problem, if any.

    `columns` are those of the product itself.
    """
    plan = Plan(lines[0]["product_id"])
    matches: dict[int, Variant | None] = {}
    problem: RowInvalid | None = None
    try:
        if plan.product_id is not None and not known:
            raise RowInvalid(lines[0], "id", "No product for sale has this id.")
        if len(lines) > MAX_VARIANTS:
            raise RowInvalid(lines[-1], "options", TOO_MANY)
        plan.product = _merge(lines, columns)
        if plan.product_id is None and "title" not in plan.product:
            raise RowInvalid(lines[0], "title", "Required for a new product.")
        plan.options = _find_options(lines, options)
        sold = _match(lines, plan.options, known, matches)
        _fill(plan, lines, sold, columns, known, matches)
    except RowInvalid as error:
        problem = error
    for line in lines:
        is_bad = problem is not None and problem.line is line
        match = matches.get(line["place"])
        plan.rows.append(
            {
                "place": line["place"],
                "variant_id": match.id if match else None,
                # After a problem, the other checks would report what follows from it.
                "is_sold": problem is None and line["place"] in matches,
                "problem_field": problem.field if problem and is_bad else None,
                "problem": problem.detail if problem and is_bad else None,
            }
        )
    return plan


def _merge(lines: Sequence[Line], columns: Sequence[str]) -> dict[str, Any]:
    """Return the values of the product itself, which its lines must agree on."""
    merged: dict[str, Any] = {}
    owners: dict[str, Line] = {}
    for line in lines:
        for name in columns:
            if name not in line["given"]:
                continue
            if merged.setdefault(name, line[name]) != line[name]:
                raise RowInvalid(
                    line, name, f"It differs from row {owners[name]['row']} of the same product."
                )
            owners.setdefault(name, line)
    return merged


def _find_options(lines: Sequence[Line], current: Sequence[Option]) -> tuple[Option, ...]:
    """Return the options that the lines describe, or else those that their values need."""
    described = next((line for line in lines if line["options"] is not None), None)
    if described is not None:
        for line in lines:
            if line["options"] not in (None, described["options"]):
                raise RowInvalid(
                    line, "options", f"They differ from row {described['row']} of the same product."
                )
        return tuple(Option(each["name"], tuple(each["values"])) for each in described["options"])
    named = next((line for line in lines if line["option_names"]), None)
    if named is None:
        return tuple(current)
    names = named["option_names"]
    if set(names) <= {option.name for option in current}:
        names = [option.name for option in current]
        values = {option.name: dict.fromkeys(option.values) for option in current}
    else:
        values = {name: {} for name in names}
    for line in lines:
        for name, value in _to_values(line).items():
            values.get(name, {})[value] = None
    found = [{"name": name, "values": list(values[name])} for name in names]
    try:
        CHECKED.validate_python(found)
    except ValidationError as error:
        raise RowInvalid(named, "options", error.errors(include_url=False)[0]["msg"]) from None
    return tuple(Option(name, tuple(values[name])) for name in names)


def _match(
    lines: Sequence[Line],
    options: Sequence[Option],
    known: Sequence[Variant],
    matches: dict[int, Variant | None],
) -> list[Line]:
    """Match each line with a known variant, or None for a new one; return the lines that sell something."""
    by_id = {variant.id: variant for variant in known}
    by_sku = {variant.sku: variant for variant in known}
    by_values = {_to_key(variant.option_values): variant for variant in known}
    sold: list[Line] = []
    for line in lines:
        wanted, values = line["wanted_variant_id"], _to_values(line)
        if wanted is not None:
            if wanted not in by_id:
                raise RowInvalid(line, "variant_id", "The product has no variant with this id.")
            found: Variant | None = by_id[wanted]
        elif line["sku"] in by_sku:
            found = by_sku[line["sku"]]
        elif values:
            found = by_values.get(_to_key(values))
        elif len(known) == 1:
            found = known[0]
        elif known:
            if _sells(line):
                raise RowInvalid(line, "variant_id", SEVERAL)
            continue
        elif options or sold:
            raise RowInvalid(line, "options", NO_VALUES if options else NO_OPTIONS)
        else:
            found = None
        matches[line["place"]] = found
        sold.append(line)
    return sold


def _fill(
    plan: Plan,
    lines: Sequence[Line],
    sold: Sequence[Line],
    columns: Sequence[str],
    known: Sequence[Variant],
    matches: Mapping[int, Variant | None],
) -> None:
    """Fill in what happens to the variants; raise RowInvalid."""
    plan.option_values = {variant.id: variant.option_values for variant in known}
    owners: dict[int, Line] = {}
    added: list[tuple[Line, NewVariant]] = []
    for line in sold:
        values = {name: line[name] for name in line["given"] if name not in columns}
        found = matches[line["place"]]
        given = _to_values(line) or None
        if found is None:
            on_hand = values.pop("on_hand", 0)
            if given:
                values["option_values"] = given
            added.append((line, NewVariant(values, on_hand)))
            continue
        owners.setdefault(found.id, line)
        plan.variants[found.id] = values
        if given or not plan.options:
            plan.option_values[found.id] = given
    if len(known) + len(added) > MAX_VARIANTS:
        raise RowInvalid(lines[-1], "options", TOO_MANY)
    named = [(owners.get(number, lines[0]), number, values) for number, values in plan.option_values.items()]
    fresh = [(line, None, variant.option_values) for line, variant in added]
    _check([*named, *fresh], plan.options, owners)
    plan.added = [variant for _line, variant in added]


def _check(
    variants: Sequence[tuple[Line, int | None, OptionValues | None]],
    options: Sequence[Option],
    owners: Mapping[int, Line],
) -> None:
    """Raise RowInvalid unless each variant has a value for each option, and no two have the same."""
    taken: dict[frozenset[tuple[str, str]], str] = {}
    # A line is to blame for a combination, and not a variant that the file does not mention.
    ordered = sorted(variants, key=lambda each: (each[1] is None or each[1] in owners, each[0]["place"]))
    for line, number, values in ordered:
        is_mentioned = number is None or number in owners
        try:
            check_values(options, values)
        except OptionValuesInvalid as error:
            detail = error.detail if is_mentioned else f"Variant {number}: {error.detail}"
            raise RowInvalid(line, "options", detail) from None
        key = _to_key(values)
        if key in taken:
            raise RowInvalid(line, "options", f"{taken[key]} has the same options.")
        taken[key] = f"Row {line['row']}" if is_mentioned else f"Variant {number}"


def _to_values(line: Line) -> dict[str, str]:
    return dict(zip(line["option_names"] or (), line["option_values"] or (), strict=True))


def _to_key(values: OptionValues | None) -> frozenset[tuple[str, str]]:
    return frozenset((values or {}).items())


def _sells(line: Line) -> bool:
    """Return whether the line sets anything of a variant; an empty cell alone does not."""
    return any(line[name] not in (None, {}) for name in (*OF_VARIANT, "on_hand"))
