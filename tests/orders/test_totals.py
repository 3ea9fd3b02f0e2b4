"""Totals: properties that hold for all orders, and the traps that other shops fell into."""

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import product
from math import floor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orders.domain import Delivery
from orders.errors import CouponNotUsable, ShippingMethodRequired, ShippingMethodUnavailable
from orders.totals import (
    WHOLE,
    Coupon,
    Destination,
    Item,
    PriceStep,
    Rules,
    ShippingMethod,
    TaxRate,
    Totals,
    list_shipping_options,
    price_order,
    quote_order,
)
from tests.stacks import ROOT

SOURCE = ROOT / "orders-service/orders/totals.py"
GERMANY = Destination("DE", None, "10115")
FULL_WIDTH = "\uff19\uff10\uff17-0001"  # As a Japanese keyboard writes 907-0001.
VAT = Rules(rates=(TaxRate("DE", "VAT", 1900),))
POST = ShippingMethod("post", "Post", price=490)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

quick = settings(max_examples=60, deadline=None)

# Strategies.
CLASSES = (None, "books", "food")
CATEGORIES = ("", "tea", "tea/green", "tea/green/bags", "teapots")
DESTINATIONS = (GERMANY, Destination("US", "US-CA", "94016"), Destination("US", "US-NY"), Destination("FR"))
PLACES = (("DE", None), ("US", None), ("US", "US-CA"), ("FR", None))
amounts = st.integers(0, 12) | st.integers(0, 20_000) | st.integers(0, 10**9)
basis_points = st.sampled_from([0, 1, 210, 700, 1900, 9999, WHOLE]) | st.integers(0, WHOLE)
tax_classes = st.sampled_from(CLASSES)
item_lists = st.lists(
    st.builds(
        Item,
        variant_id=st.integers(1, 99),
        product_id=st.integers(1, 3),
        quantity=st.integers(1, 3) | st.integers(1, 1000),
        unit_amount=amounts,
        tax_class=tax_classes,
        weight_grams=st.none() | st.integers(0, 5000),
        category=st.sampled_from(CATEGORIES),
    ),
    max_size=5,
    unique_by=lambda item: item.variant_id,
)
rate_tables = st.dictionaries(st.sampled_from(list(product(PLACES, CLASSES))), basis_points, max_size=6).map(
    lambda table: tuple(
        TaxRate(country, "Tax", rate, region, tax_class)
        for ((country, region), tax_class), rate in table.items()
    )
)
rule_sets = st.builds(Rules, rates=rate_tables, prices_include_tax=st.booleans())
free_from = st.none() | amounts
weight_steps = st.lists(st.builds(PriceStep, amounts, st.integers(1, 20_000)), max_size=3)
amount_steps = st.lists(st.builds(PriceStep, amounts, st.none(), amounts), max_size=3)
# Methods that every destination and all items may have, because their tables begin with 0.
fitting_methods = st.one_of(
    st.builds(ShippingMethod, st.just("m"), st.just("M"), price=amounts, free_from=free_from),
    st.builds(
        ShippingMethod,
        st.just("m"),
        st.just("M"),
        prices=weight_steps.map(lambda steps: (*steps, PriceStep(7, 0)))
        | amount_steps.map(lambda steps: (*steps, PriceStep(7, from_amount=0))),
        free_from=free_from,
        tax_class=tax_classes,
    ),
)
# Methods that some destinations and items may have.
choosy_methods = st.builds(
    ShippingMethod,
    st.sampled_from(["m", "n", "o"]),
    st.just("Method"),
    countries=st.sampled_from([(), ("DE",), ("US", "FR")]),
    regions=st.sampled_from([(), (), ("US-NY",)]),
    postal_codes=st.sampled_from([(), ("!10115",), ("1*", "94*"), ("*", "!94*")]),
    prices=weight_steps.map(tuple) | amount_steps.map(tuple),
    price=st.none() | amounts,
    free_from=free_from,
    excluded_tax_classes=st.sampled_from([(), (), ("food",)]),
    active=st.booleans(),
)


@dataclass(frozen=True)
class Purchase:
    """What `price_order` receives."""

    items: tuple[Item, ...]
    coupon: Coupon | None
    destination: Destination | None
    method: ShippingMethod | None
    rules: Rules

    def price(self) -> Totals:
        return price_order(self.items, self.coupon, self.destination, self.method, self.rules)


@st.composite
def coupons(draw: st.DrawFn, items: list[Item]) -> Coupon | None:
    """Return a coupon of any kind that is usable for these items, or None."""
    kind = draw(st.sampled_from(["percent", "amount", "free_shipping", None])) if items else None
    if kind is None:
        return None
    terms = {"percent": st.integers(1, 100), "amount": amounts.map(lambda amount: amount + 1)}
    chosen = draw(st.sampled_from(items))
    limits = [{}, {"products": (chosen.product_id,)}, {"categories": (chosen.category.split("/")[0],)}]
    minimum = st.none() | st.integers(0, sum(item.amount for item in items))
    return Coupon(
        "COUPON",
        minimum=draw(minimum),
        **{kind: draw(terms.get(kind, st.just(True)))},
        **draw(st.sampled_from(limits)),
    )


@st.composite
def purchases(draw: st.DrawFn, methods: st.SearchStrategy[ShippingMethod] = fitting_methods) -> Purchase:
    items = draw(item_lists)
    destination = draw(st.sampled_from([*DESTINATIONS, None]))
    return Purchase(
        tuple(items),
        draw(coupons(items)),
        destination,
        draw(st.none() | methods) if destination else None,
        draw(rule_sets),
    )


def add(totals: Totals, kind: str) -> int:
    """Return the sum of the adjustments of one kind."""
    return sum(each.amount for each in totals.adjustments if each.kind == kind)


def applies(coupon: Coupon, item: Item) -> bool:
    """Return whether a coupon applies to an item, by the names of the categories above it."""
    if not coupon.products and not coupon.categories:
        return True
    names = item.category.split("/")
    paths = {"/".join(names[:length]) for length in range(1, len(names) + 1)}
    return item.product_id in coupon.products or not paths.isdisjoint(coupon.categories)


def match_lines(purchase: Purchase, totals: Totals) -> Iterator[tuple[Item, Any]]:
    """Return each item with its line."""
    items = {item.variant_id: item for item in purchase.items}
    assert [line.variant_id for line in totals.lines] == sorted(items)
    return ((items[line.variant_id], line) for line in totals.lines)


def round_half_up(exact: Fraction) -> int:
    return floor(exact + Fraction(1, 2))


def find_tax(amount: int, rate: int | None, *, included: bool) -> int:
    exact = Fraction(amount * (rate or 0), WHOLE + (rate or 0) if included else WHOLE)
    return round_half_up(exact)


# Properties.


@quick
@given(purchases())
def test_the_parts_add_up_to_the_total(purchase):
    totals = purchase.price()
    assert totals.items_amount == sum(item.unit_amount * item.quantity for item in purchase.items)
    payable = [each.amount for each in totals.adjustments if not each.included]
    assert totals.amount == totals.items_amount + sum(payable)
    assert totals.tax_amount == add(totals, "tax")
    is_free = purchase.coupon is not None and purchase.coupon.free_shipping
    on_lines = sum(line.discount_amount for line in totals.lines)
    assert add(totals, "discount") == -(add(totals, "shipping") if is_free else on_lines)
    assert not (is_free and on_lines)
    kinds = [each.kind for each in totals.adjustments]
    assert kinds == sorted(kinds, key=["discount", "shipping", "tax"].index)
    counts = Counter(kinds)
    assert (counts["discount"], counts["shipping"]) == (bool(purchase.coupon), bool(purchase.method))
    # A tax line is the sum of the lines at its rate and of shipping.
    assert len({each.code for each in totals.adjustments if each.kind == "tax"}) == counts["tax"]
    assert {each.included for each in totals.adjustments if each.kind == "tax"} <= {
        purchase.rules.prices_include_tax
    }


@quick
@given(purchases())
def test_each_tax_is_the_exact_tax_of_its_line_rounded_half_up(purchase):
    totals = purchase.price()
    included = purchase.rules.prices_include_tax
    for item, line in match_lines(purchase, totals):
        rate = purchase.rules.find_rate(purchase.destination, item.tax_class)
        assert line.tax_rate == (rate.rate if rate else None)
        net = item.amount - line.discount_amount
        assert line.tax_amount == find_tax(net, line.tax_rate, included=included)
        if included:
            # Tax and net are the gross, and neither is negative.
            assert 0 <= line.tax_amount <= net
    method = purchase.method
    rate = purchase.rules.find_rate(purchase.destination, method.tax_class) if method else None
    is_free = purchase.coupon is not None and purchase.coupon.free_shipping
    shipping = 0 if is_free else add(totals, "shipping")
    tax_of_shipping = find_tax(shipping, rate.rate if rate else None, included=included)
    assert totals.tax_amount == sum(line.tax_amount for line in totals.lines) + tax_of_shipping


@quick
@given(purchases())
def test_nothing_is_negative_except_discounts(purchase):
    totals = purchase.price()
    assert min(totals.items_amount, totals.tax_amount, totals.amount) >= 0
    for each in totals.adjustments:
        assert (each.amount <= 0) if each.kind == "discount" else (each.amount >= 0)
    for line in totals.lines:
        assert min(line.discount_amount, line.tax_amount, line.tax_rate or 0) >= 0


@quick
@given(purchases())
def test_a_discount_never_exceeds_what_it_applies_to(purchase):
    totals = purchase.price()
    coupon = purchase.coupon
    for item, line in match_lines(purchase, totals):
        assert line.discount_amount <= (item.amount if coupon and applies(coupon, item) else 0)
        if coupon and coupon.percent and applies(coupon, item):
            assert line.discount_amount == round_half_up(Fraction(item.amount * coupon.percent, 100))
    if coupon and coupon.amount:
        worth = sum(item.amount for item in purchase.items if applies(coupon, item))
        assert add(totals, "discount") == -min(coupon.amount, worth)
        for item, line in match_lines(purchase, totals):
            exact = Fraction(min(coupon.amount, worth) * item.amount, worth or 1)
            assert not applies(coupon, item) or abs(line.discount_amount - exact) < 1
    if coupon and coupon.free_shipping:
        assert -add(totals, "discount") <= add(totals, "shipping")


@quick
@given(purchases(), rate_tables)
def test_with_included_tax_the_customer_pays_the_same_at_any_rates(purchase, rates):
    gross = replace(purchase, rules=Rules(rates=purchase.rules.rates))
    totals = gross.price()
    assert totals.amount == replace(gross, rules=Rules(rates=rates)).price().amount
    assert totals.amount == replace(gross, rules=Rules()).price().amount
    assert 0 <= totals.tax_amount <= totals.amount


@quick
@given(purchases(), st.randoms(use_true_random=False))
def test_the_order_of_lines_does_not_matter(purchase, random):
    items = list(purchase.items)
    random.shuffle(items)
    moved = replace(purchase, items=tuple(items))
    assert moved.price() == purchase.price()
    rules = replace(purchase.rules, methods=(purchase.method,) if purchase.method else ())
    options = [
        list_shipping_options(each.items, each.coupon, each.destination, rules) for each in (moved, purchase)
    ]
    assert options[0] == options[1]


@st.composite
def splits(draw: st.DrawFn) -> tuple[Purchase, Purchase, int]:
    """Return a purchase, the same with its line 50 in two, and the variant of the second part.

    The coupon applies to all items, and the price of shipping does not depend on what they cost.
    """
    purchase = draw(purchases(st.builds(ShippingMethod, st.just("m"), st.just("M"), price=amounts)))
    item = draw(st.builds(Item, st.just(50), st.just(1), st.integers(2, 1000), amounts, tax_classes))
    others = tuple(each for each in purchase.items if each.variant_id != item.variant_id)
    quantity = draw(st.integers(1, item.quantity - 1))
    # The new variant has a lower or a higher number than all others.
    number = draw(st.sampled_from([0, 100]))
    parts = (
        replace(item, quantity=quantity),
        replace(item, variant_id=number, quantity=item.quantity - quantity),
    )
    coupon = purchase.coupon and replace(purchase.coupon, products=(), categories=(), minimum=None)
    whole = replace(purchase, items=(*others, item), coupon=coupon)
    return whole, replace(whole, items=(*others, *parts)), number


@quick
@given(splits())
def test_a_line_in_two_costs_at_most_one_minor_unit_more_or_less_for_each_further_rounding(split):
    whole, parts, number = split
    before, after = whole.price(), parts.price()
    discounts = Counter({line.variant_id: line.discount_amount for line in before.lines})
    moved = Counter({line.variant_id: line.discount_amount for line in after.lines})
    moved[50] += moved.pop(number)
    moved.subtract(discounts)
    coupon = whole.coupon
    # The discount: a percentage is rounded once more. An amount stays the same, but its shares may move by
    # one unit for a line, and by two for the line in two. Free shipping does not change.
    if coupon and coupon.percent:
        assert set(moved.values()) <= {-1, 0, 1}
        assert not any(moved[each] for each in moved if each != 50)
        allowed = 1
    elif coupon and coupon.amount:
        assert sum(moved.values()) == 0
        assert all(abs(units) <= (2 if variant == 50 else 1) for variant, units in moved.items())
        allowed = 0
    else:
        assert not any(moved.values())
        allowed = 0
    # The tax: an included one is not paid on top. An added one is rounded once more, and each unit of
    # discount that a line has more or less has a tax of at most one unit.
    if not whole.rules.prices_include_tax:
        allowed += 1 + sum(map(abs, moved.values()))
    assert abs(after.amount - before.amount) <= allowed
    if not coupon or coupon.free_shipping:
        assert abs(after.tax_amount - before.tax_amount) <= 1


@quick
@given(purchases())
def test_all_amounts_are_whole_numbers(purchase):
    totals = purchase.price()
    amounts_of_lines = [(line.discount_amount, line.tax_amount) for line in totals.lines]
    found = [totals.items_amount, totals.tax_amount, totals.amount, *sum(amounts_of_lines, ())]
    found += [each.amount for each in totals.adjustments]
    found += [line.tax_rate for line in totals.lines if line.tax_rate is not None]
    assert {type(each) for each in found} == {int}


@quick
@given(purchases())
def test_a_hundred_percent_makes_the_goods_free(purchase):
    if not purchase.items:
        return
    totals = replace(purchase, coupon=Coupon("ALL", percent=100)).price()
    assert add(totals, "discount") == -totals.items_amount
    assert [line.tax_amount for line in totals.lines] == [0] * len(totals.lines)
    assert [line.discount_amount for line in totals.lines] == [
        item.amount for item, _ in match_lines(purchase, totals)
    ]
    added = 0 if purchase.rules.prices_include_tax else totals.tax_amount
    assert totals.amount == add(totals, "shipping") + added


@quick
@given(purchases(), st.lists(choosy_methods, max_size=3, unique_by=lambda method: method.code))
def test_a_method_is_offered_exactly_if_an_order_can_have_it_and_at_its_price(purchase, methods):
    rules = replace(purchase.rules, methods=tuple(methods))
    offered = list_shipping_options(purchase.items, purchase.coupon, purchase.destination, rules)
    prices = {option.code: option.amount for option in offered}
    accepted = {}
    for method in methods:
        try:
            totals = replace(purchase, method=method).price()
        except ShippingMethodUnavailable:
            continue
        is_free = purchase.coupon is not None and purchase.coupon.free_shipping
        accepted[method.code] = add(totals, "shipping") + (add(totals, "discount") if is_free else 0)
    assert prices == accepted


# Traps.


def item(number: int = 1, unit_amount: int = 1000, quantity: int = 1, **others: Any) -> Item:
    return Item(number, number, quantity, unit_amount, **others)


def describe(totals: Totals) -> list[tuple[str, int]]:
    return [(each.kind, each.amount) for each in totals.adjustments]


def is_offered(method: ShippingMethod, destination: Destination, *items: Item) -> bool:
    """Return whether a method is offered, and check that an order can have it only then."""
    options = list_shipping_options(items, None, destination, Rules(methods=(method,)))
    if not options:
        with pytest.raises(ShippingMethodUnavailable):
            price_order(items, None, destination, method, Rules())
        return False
    assert price_order(items, None, destination, method, Rules()).adjustments[0].code == method.code
    return True


def test_two_reasons_for_free_shipping_are_never_below_zero():
    # https://github.com/vendurehq/vendure/issues/3140 and 3884: shipping was deducted twice.
    free = Coupon("FREE", free_shipping=True)
    totals = price_order([item()], free, GERMANY, replace(POST, free_from=500), VAT)
    assert describe(totals) == [("discount", 0), ("shipping", 0), ("tax", 160)]
    assert totals.amount == 1000
    totals = price_order([item()], free, GERMANY, POST, VAT)
    assert describe(totals) == [("discount", -490), ("shipping", 490), ("tax", 160)]
    assert totals.amount == 1000
    for method in (POST, replace(POST, free_from=500)):
        (option,) = list_shipping_options([item()], free, GERMANY, Rules(methods=(method,)))
        assert option.amount == 0


@pytest.mark.parametrize(
    "terms",
    [
        {"countries": ("FR", "US")},
        {"regions": ("DE-BY",)},
        {"postal_codes": ("2*",)},
        {"postal_codes": ("!10115",)},
        {"postal_codes": ("101*", "!1011?")},
        {"excluded_tax_classes": ("food", "dangerous")},
        {"price": None, "prices": (PriceStep(490, 3000),)},
        {"price": None, "prices": (PriceStep(490, from_amount=1001),)},
        {"price": None},
        {"active": False},
    ],
    ids=str,
)
def test_a_method_that_does_not_fit_is_not_offered_and_an_order_cannot_have_it(terms):
    # https://github.com/medusajs/medusa/issues/11115: such options were listed and accepted.
    items = [item(tax_class="dangerous", weight_grams=2999), item(2, 0)]
    assert is_offered(POST, GERMANY, *items)
    assert not is_offered(replace(POST, **terms), GERMANY, *items)
    # What is free from an amount does not fit better.
    assert not is_offered(replace(POST, **terms, free_from=0), GERMANY, *items)


def test_an_order_without_a_destination_cannot_have_a_method():
    with pytest.raises(ShippingMethodUnavailable):
        price_order([item()], None, None, POST, Rules())
    assert list_shipping_options([item()], None, None, Rules(methods=(POST,))) == ()


def test_a_method_that_fits_stays_offered():
    # https://github.com/medusajs/medusa/issues/7162: methods with requirements were not listed.
    fitting = replace(
        POST,
        countries=("AT", "DE"),
        regions=("DE-BE", "DE-BB"),
        postal_codes=("10*", "!10117"),
        price=None,
        prices=(PriceStep(290, from_amount=5000), PriceStep(490, from_amount=1000)),
        excluded_tax_classes=("dangerous",),
    )
    berlin = Destination("DE", "DE-BE", "10115")
    rules = Rules(methods=(replace(fitting, code="other", countries=("AT",)), fitting))
    for unit_amount, price in ((1000, 490), (4999, 490), (5000, 290)):
        items = [item(unit_amount=unit_amount, tax_class="food")]
        (option,) = list_shipping_options(items, None, berlin, rules)
        assert (option.code, option.amount) == ("post", price)
        quote = quote_order(items, None, berlin, "post", rules, is_order=True)
        assert quote.totals.amount == unit_amount + price
    assert not is_offered(fitting, berlin, item(unit_amount=999, tax_class="food"))


def test_methods_are_offered_by_position_and_then_by_price():
    methods = (
        replace(POST, code="c", position=1, price=100),
        replace(POST, code="b", price=500),
        replace(POST, code="a", price=500),
        replace(POST, code="d", price=300, free_from=1000),
        replace(POST, code="e", active=False),
    )
    options = list_shipping_options([item()], None, GERMANY, Rules(methods=methods))
    assert [(option.code, option.amount) for option in options] == [
        ("d", 0),
        ("a", 500),
        ("b", 500),
        ("c", 100),
    ]


def test_a_method_is_offered_at_its_price_after_discounts():
    steps = (PriceStep(500, from_amount=0), PriceStep(200, from_amount=1000))
    methods = (replace(POST, free_from=1000), replace(POST, code="value", price=None, prices=steps))
    rules = Rules(methods=methods)
    for coupon, prices in (
        (None, {"post": 0, "value": 200}),
        (Coupon("OFF", percent=1), {"post": 490, "value": 500}),
        (Coupon("OFF", amount=1), {"post": 490, "value": 500}),
        (Coupon("FREE", free_shipping=True), {"post": 0, "value": 0}),
    ):
        options = list_shipping_options([item()], coupon, GERMANY, rules)
        assert {option.code: option.amount for option in options} == prices


@pytest.mark.parametrize(
    ("country", "patterns", "inside", "outside"),
    [
        ("DE", ("!27498", "!18565"), ["27499", "10115", None], ["27498", "18565", " 27498 ", "27 498"]),
        (
            "GB",
            ("!IM*", "!JE*", "!GY*", "!HS*", "!ZE*"),
            ["SW1A 1AA", "i1 1im", None],
            ["im1 1aa", "Hs1 2Xx"],
        ),
        ("GB", ("im* *",), ["IM1 1AA", "im11aa", " i m11aa"], ["SW1A 1AA", "", None]),
        ("FR", ("20*", "!20000"), ["20137"], ["75001", "20000", None]),
        ("ES", ("35*", "38*"), ["35001", "38670"], ["28001", "07001"]),
        ("JP", ("!100-21*", "!907-*"), ["100-0001"], ["100-2101", "907-0001", "9070001", FULL_WIDTH]),
        ("PL", ("0[0-3]-*",), ["00-950", "03950"], ["04-950", "-950"]),
        ("IE", ("D6W *", "d0? *"), ["D6WXY00", "d04 x4c7"], ["D16 XY00"]),
    ],
    ids=["Germany", "Britain", "Man", "Corsica", "Canaries", "Japan", "Warsaw", "Dublin"],
)
def test_postal_codes_of_islands_decide_in_small_letters_and_with_spaces(country, patterns, inside, outside):
    # https://github.com/vendurehq/vendure/issues/35
    method = replace(POST, postal_codes=patterns)
    for code, expected in [*((code, True) for code in inside), *((code, False) for code in outside)]:
        assert is_offered(method, Destination(country, None, code), item()) is expected, code


def test_things_without_weight_have_the_first_step():
    steps = (PriceStep(900, 1001), PriceStep(300, 0), PriceStep(600, 1000))
    method = replace(POST, price=None, prices=steps)
    for weight, price in ((None, 300), (0, 300), (999, 300), (1000, 600), (1001, 900)):
        totals = price_order([item(weight_grams=weight), item(2)], None, GERMANY, method, Rules())
        assert totals.amount == 2000 + price, weight


def test_an_amount_as_large_as_the_order_leaves_exactly_zero():
    # https://github.com/medusajs/medusa/issues/12226: the total was -1.6e-14.
    totals = price_order([item(1, 119)], Coupon("OFF", amount=119), GERMANY, None, VAT)
    assert (totals.amount, totals.tax_amount) == (0, 0)
    assert {type(totals.amount), type(totals.tax_amount)} == {int}
    totals = price_order([item(1, 119_000)], Coupon("OFF", amount=11_900), GERMANY, None, VAT)
    assert (totals.amount, totals.tax_amount) == (107_100, 17_100)
    for count in range(1, 40):
        items = [item(number, 10 + number % 3) for number in range(1, count + 1)]
        totals = price_order(
            items, Coupon("OFF", amount=sum(each.amount for each in items)), GERMANY, None, VAT
        )
        assert totals.amount == 0, count


def test_the_module_has_no_float_and_no_division_that_returns_one():
    nodes = list(ast.walk(ast.parse(SOURCE.read_text(encoding="utf-8"))))
    assert not [node.lineno for node in nodes if isinstance(node, ast.Constant) and type(node.value) is float]
    assert not [node.lineno for node in nodes if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)]
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    assert not names & {"float", "round", "Decimal"}


def test_an_amount_off_a_price_with_tax_is_an_amount_with_tax():
    # https://github.com/medusajs/medusa/issues/5776: 50 less 10 cost 39 at 10 %.
    rules = Rules(rates=(TaxRate("FR", "TVA", 1000),))
    totals = price_order([item(1, 5000)], Coupon("OFF", amount=1000), Destination("FR"), None, rules)
    assert (totals.amount, totals.tax_amount) == (4000, 364)


def test_the_tax_of_shipping_is_in_the_totals():
    # https://github.com/vendurehq/vendure/issues/729: it was missing in the summary.
    rates = (TaxRate("NL", "BTW", 2100),)
    method = replace(POST, price=675)
    totals = price_order([item(1, 2300)], None, Destination("NL"), method, Rules(rates=rates))
    assert (describe(totals), totals.tax_amount) == ([("shipping", 675), ("tax", 516)], 516)
    assert (totals.amount, totals.lines[0].tax_amount) == (2975, 399)
    net = Rules(rates=rates, prices_include_tax=False)
    totals = price_order([item(1, 1901)], None, Destination("NL"), replace(POST, price=558), net)
    assert (totals.amount, totals.tax_amount) == (2975, 516)


@pytest.mark.parametrize("region", ["CA", "ca", "US-CA", " us-ca "])
def test_california_is_not_canada_however_its_code_is_written(region):
    rates = (TaxRate("CA", "GST", 500), TaxRate("US", "Tax", 100), TaxRate("US", "Tax", 725, "US-CA"))
    net = Rules(rates=rates, prices_include_tax=False)
    totals = price_order([item()], None, Delivery("US", region).destination, None, net)
    assert [(each.code, each.amount) for each in totals.adjustments] == [("US-CA", 73)]


# Coupons and quotes.


@pytest.mark.parametrize(
    ("terms", "customer_uses", "reason"),
    [
        ({}, 9, None),
        ({"active": False}, 0, "ended"),
        ({"ends": NOW}, 0, "ended"),
        ({"ends": NOW + timedelta(seconds=1)}, 0, None),
        ({"starts": NOW + timedelta(seconds=1)}, 0, "not_started"),
        ({"starts": NOW}, 0, None),
        ({"starts": NOW - timedelta(days=1), "ends": NOW + timedelta(days=1)}, 0, None),
        ({"limit": 5, "uses": 5}, 0, "used_up"),
        ({"limit": 5, "uses": 4}, 0, None),
        ({"limit_per_customer": 2}, 2, "used_by_customer"),
        ({"limit_per_customer": 2}, 1, None),
        ({"first_order_only": True}, 0, "first_order_only"),
        ({"ends": NOW, "limit": 0, "first_order_only": True}, 0, "ended"),
    ],
)
def test_a_coupon_that_the_customer_may_not_use_now_is_refused_with_a_reason(terms, customer_uses, reason):
    coupon = Coupon("TEN", percent=10, **terms)
    if reason is None:
        coupon.check_use(NOW, customer_uses=customer_uses, has_ordered=True)
        return
    with pytest.raises(CouponNotUsable) as refused:
        coupon.check_use(NOW, customer_uses=customer_uses, has_ordered=True)
    starts = {"starts": coupon.starts.isoformat()} if reason == "not_started" else {}
    assert refused.value.extra == {"reason": reason, "coupon": "TEN", **starts}


def test_a_coupon_for_the_first_order_is_usable_for_it():
    Coupon("TEN", percent=10, first_order_only=True).check_use(NOW, customer_uses=0, has_ordered=False)


@pytest.mark.parametrize(
    "kind", [{"percent": 10}, {"amount": 100}, {"free_shipping": True}], ids=["percent", "amount", "shipping"]
)
@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"minimum": 1500}, None),
        ({"minimum": 1501}, "below_minimum"),
        ({"products": (3,)}, "not_applicable"),
        ({"products": (3, 2)}, None),
        ({"categories": ("tea",)}, None),
        ({"categories": ("tea/green",)}, "not_applicable"),
        ({"categories": ("te",)}, "not_applicable"),
        ({"products": (3,), "categories": ("cups",)}, "not_applicable"),
        ({"products": (3,), "minimum": 9999}, "below_minimum"),
    ],
    ids=str,
)
def test_a_coupon_that_does_not_fit_the_items_is_refused_with_a_reason(kind, terms, reason):
    coupon = Coupon("OFF", **kind, **terms)
    items = [item(1, 1000, category="tea/black"), item(2, 500, category="teapots")]
    rules = Rules(methods=(POST,))
    if reason is None:
        assert quote_order(items, coupon, GERMANY, "post", rules).totals.adjustments[0].amount < 0
        return
    for call in (
        lambda: price_order(items, coupon, GERMANY, POST, rules),
        lambda: list_shipping_options(items, coupon, GERMANY, rules),
        lambda: quote_order(items, coupon, GERMANY, "post", rules),
    ):
        with pytest.raises(CouponNotUsable) as refused:
            call()
        assert refused.value.extra["reason"] == reason
        assert refused.value.extra.get("minimum") == (coupon.minimum if reason == "below_minimum" else None)


def test_a_coupon_for_no_items_applies_to_none():
    with pytest.raises(CouponNotUsable) as refused:
        price_order([], Coupon("OFF", percent=10), GERMANY, None, Rules())
    assert refused.value.extra["reason"] == "not_applicable"


def test_an_order_without_a_method_is_refused_with_the_quote_if_the_shop_has_any():
    far = replace(POST, code="far", countries=("AU",))
    rules = replace(VAT, methods=(POST, far))
    quote = quote_order([item()], None, GERMANY, None, rules)
    assert [option.code for option in quote.options] == ["post"]
    assert (describe(quote.totals), quote.totals.amount) == ([("tax", 160)], 1000)
    with pytest.raises(ShippingMethodRequired) as refused:
        quote_order([item()], None, GERMANY, None, rules, is_order=True)
    assert refused.value.extra == quote.describe()
    # Also if none of them fits.
    with pytest.raises(ShippingMethodRequired) as refused:
        quote_order([item()], None, GERMANY, None, Rules(methods=(far,)), is_order=True)
    assert refused.value.extra["shipping_options"] == []


@pytest.mark.parametrize("methods", [(), (replace(POST, active=False),)], ids=["none", "inactive"])
def test_a_shop_without_active_methods_delivers_for_free(methods):
    quote = quote_order([item()], None, GERMANY, None, replace(VAT, methods=methods), is_order=True)
    assert (quote.options, describe(quote.totals), quote.totals.amount) == ((), [("tax", 160)], 1000)


@pytest.mark.parametrize("code", ["unknown", "far", "old", "", "POST"])
@pytest.mark.parametrize("is_order", [False, True])
def test_an_unavailable_method_is_refused_with_the_quote_without_a_method(code, is_order):
    others = (replace(POST, code="far", countries=("AU",)), replace(POST, code="old", active=False))
    rules = replace(VAT, methods=(POST, *others))
    with pytest.raises(ShippingMethodUnavailable) as refused:
        quote_order([item()], None, GERMANY, code, rules, is_order=is_order)
    assert refused.value.extra == {
        "items_amount": 1000,
        "adjustments": [
            {"kind": "tax", "code": "DE", "title": "VAT", "amount": 160, "included": True},
        ],
        "tax_amount": 160,
        "amount": 1000,
        "shipping_options": [{"code": "post", "title": "Post", "amount": 490, "delivery_time": None}],
    }


def test_a_quote_with_a_method_has_its_price_and_all_options():
    rules = replace(VAT, methods=(POST, replace(POST, code="express", title="Express", price=990)))
    quote = quote_order([item()], None, GERMANY, "express", rules, is_order=True)
    assert describe(quote.totals) == [("shipping", 990), ("tax", 318)]
    assert quote.totals.amount == 1990
    assert [(option.code, option.amount) for option in quote.options] == [("post", 490), ("express", 990)]
