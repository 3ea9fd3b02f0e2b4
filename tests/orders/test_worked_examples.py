"""Orders and refunds that were computed by hand; each example shows its arithmetic.

All amounts are in minor units: cents, yen, or fils of 1/1000 dinar. `a -> b` is a rounding, half up.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from orders.domain import Order, Refund, Status
from orders.totals import (
    Adjustment,
    Coupon,
    Destination,
    Item,
    PriceStep,
    Rules,
    ShippingMethod,
    TaxRate,
    price_order,
)
from shared.errors import Problem


def rate(place: str, basis_points: int, tax_class: str | None = None) -> TaxRate:
    """Return the rate of a country, such as `DE`, or of a region, such as `US-CA`."""
    country, _, region = place.partition("-")
    return TaxRate(country, "Tax", basis_points, place if region else None, tax_class)


RATES = (
    rate("DE", 1900),
    rate("DE", 700, "reduced"),
    rate("FR", 2000),
    rate("FR", 550, "reduced"),
    rate("FR", 210, "press"),
    rate("GB", 2000),
    rate("GB", 0, "zero"),
    rate("NL", 2100),
    rate("PT", 2300),
    rate("ES", 2100),
    rate("ES", 1000, "reduced"),
    rate("ES-CN", 700),
    rate("ES-CN", 1500, "luxury"),
    rate("CH", 810),
    rate("CH", 260, "reduced"),
    rate("JP", 1000),
    rate("JP", 800, "reduced"),
    rate("KW", 500),
    rate("KW", 0, "basic"),
    rate("US-CA", 725),
    rate("US-CA", 0, "grocery"),
    rate("US-WA", 650),
    rate("US-OR", 0),
    rate("US-HI", 400),
    rate("CA", 500),
    rate("CA-ON", 1300),
)
GROSS = Rules(rates=RATES)
NET = Rules(rates=RATES, prices_include_tax=False)

GERMANY, FRANCE, BRITAIN, NETHERLANDS, PORTUGAL, SPAIN = map(
    Destination, ("DE", "FR", "GB", "NL", "PT", "ES")
)
SWITZERLAND, JAPAN, KUWAIT, CANADA, AUSTRALIA = map(Destination, ("CH", "JP", "KW", "CA", "AU"))
CALIFORNIA, WASHINGTON, OREGON, HAWAII, MONTANA = (
    Destination("US", f"US-{state}") for state in ("CA", "WA", "OR", "HI", "MT")
)

POST = ShippingMethod("post", "Post", price=490)
POST_FREE_FROM_50 = replace(POST, free_from=5000)
GROUND = ShippingMethod("ground", "Ground", price=799)
BY_WEIGHT = ShippingMethod(
    "weight", "By weight", prices=(PriceStep(1690, 10_000), PriceStep(490, 0), PriceStep(690, 2000))
)
BY_AMOUNT = ShippingMethod(
    "value",
    "By value",
    prices=(
        PriceStep(590, from_amount=0),
        PriceStep(290, from_amount=5000),
        PriceStep(0, from_amount=10_000),
    ),
)
FREE = Coupon("FREE", free_shipping=True)


@dataclass(frozen=True)
class Purchase:
    """What `price_order` receives."""

    items: tuple[Item, ...]
    coupon: Coupon | None
    destination: Destination | None
    method: ShippingMethod | None
    rules: Rules


@dataclass(frozen=True)
class Expected:
    """The totals; a line is its discount and its tax, and an adjustment its kind, code, amount, included."""

    amount: int
    tax_amount: int
    lines: tuple[tuple[int, int], ...]
    adjustments: tuple[tuple[str, str, int, bool], ...]


@dataclass(frozen=True)
class Example:
    """A purchase, its totals, and how they were computed."""

    id: str
    why: str
    purchase: Purchase
    expected: Expected


def item(number: int, unit_amount: int, quantity: int = 1, **others: Any) -> Item:
    """Return a quantity of a variant, which is its product's only one unless `product_id` differs."""
    return Item(
        **{"variant_id": number, "product_id": number, **others}, quantity=quantity, unit_amount=unit_amount
    )


def order(
    destination: Destination | None,
    *items: Item,
    coupon: Coupon | None = None,
    method: ShippingMethod | None = None,
    rules: Rules = GROSS,
) -> Purchase:
    return Purchase(items, coupon, destination, method, rules)


def gives(
    amount: int, tax_amount: int, lines: list[tuple[int, int]], *adjustments: tuple[str, str, int, bool]
) -> Expected:
    return Expected(amount, tax_amount, tuple(lines), adjustments)


def discount(code: str, amount: int) -> tuple[str, str, int, bool]:
    return "discount", code, amount, False


def shipping(code: str, amount: int) -> tuple[str, str, int, bool]:
    return "shipping", code, amount, False


def included(code: str, amount: int) -> tuple[str, str, int, bool]:
    return "tax", code, amount, True


def added(code: str, amount: int) -> tuple[str, str, int, bool]:
    return "tax", code, amount, False


def percent(number: int, **others: Any) -> Coupon:
    return Coupon("OFF", percent=number, **others)


def fixed(amount: int, **others: Any) -> Coupon:
    return Coupon("OFF", amount=amount, **others)


TAXES = [
    Example(
        "germany-one-line",
        "2 x 6490 = 12980; tax 12980 x 1900 / 11900 = 2072.44 -> 2072",
        order(GERMANY, item(1, 6490, 2)),
        gives(12980, 2072, [(0, 2072)], included("DE", 2072)),
    ),
    Example(
        "germany-reduced",
        "2499 x 700 / 10700 = 163.49 -> 163",
        order(GERMANY, item(1, 2499, tax_class="reduced")),
        gives(2499, 163, [(0, 163)], included("DE/reduced", 163)),
    ),
    Example(
        "germany-two-rates",
        "2 x 2499 = 4998; 6490 + 4998 = 11488; 6490 x 1900 / 11900 = 1036.22 -> 1036; "
        "4998 x 700 / 10700 = 326.97 -> 327; 1036 + 327 = 1363",
        order(GERMANY, item(1, 2499, 2, tax_class="reduced"), item(2, 6490)),
        gives(11488, 1363, [(0, 327), (0, 1036)], included("DE", 1036), included("DE/reduced", 327)),
    ),
    Example(
        "germany-net",
        "10000 x 1900 / 10000 = 1900; 10000 + 1900 = 11900",
        order(GERMANY, item(1, 10000), rules=NET),
        gives(11900, 1900, [(0, 1900)], added("DE", 1900)),
    ),
    Example(
        "germany-net-two-rates",
        "3 x 1999 = 5997; 5997 x 1900 / 10000 = 1139.43 -> 1139; 495 x 700 / 10000 = 34.65 -> 35; "
        "1139 + 35 = 1174; 5997 + 495 + 1174 = 7666",
        order(GERMANY, item(1, 1999, 3), item(2, 495, tax_class="reduced"), rules=NET),
        gives(7666, 1174, [(0, 1139), (0, 35)], added("DE", 1139), added("DE/reduced", 35)),
    ),
    Example(
        "germany-net-rounds-each-line",
        "13 x 1900 / 10000 = 2.47 -> 2 for each line; 2 + 2 = 4, and not 26 x 1900 / 10000 = 4.94 -> 5; "
        "13 + 13 + 4 = 30",
        order(GERMANY, item(1, 13), item(2, 13), rules=NET),
        gives(30, 4, [(0, 2), (0, 2)], added("DE", 4)),
    ),
    Example(
        "germany-net-half-up",
        "150 x 1900 / 10000 = 28.50 -> 29; 150 x 700 / 10000 = 10.50 -> 11, and not to even numbers; "
        "29 + 11 = 40; 150 + 150 + 40 = 340",
        order(GERMANY, item(1, 150), item(2, 150, tax_class="reduced"), rules=NET),
        gives(340, 40, [(0, 29), (0, 11)], added("DE", 29), added("DE/reduced", 11)),
    ),
    Example(
        "germany-largest-order",
        "1000 x 999999999 = 999999999000; 999999999000 x 1900 / 11900 = 159663865386.55 -> 159663865387",
        order(GERMANY, item(1, 999_999_999, 1000)),
        gives(999_999_999_000, 159_663_865_387, [(0, 159_663_865_387)], included("DE", 159_663_865_387)),
    ),
    Example(
        "france-three-rates",
        "2990 x 2000 / 12000 = 498.33 -> 498; 1250 x 550 / 10550 = 65.17 -> 65; "
        "320 x 210 / 10210 = 6.58 -> 7; 498 + 65 + 7 = 570; 2990 + 1250 + 320 = 4560",
        order(FRANCE, item(1, 2990), item(2, 1250, tax_class="reduced"), item(3, 320, tax_class="press")),
        gives(
            4560,
            570,
            [(0, 498), (0, 65), (0, 7)],
            included("FR", 498),
            included("FR/reduced", 65),
            included("FR/press", 7),
        ),
    ),
    Example(
        "france-net-reduced",
        "3 x 833 = 2499; 2499 x 550 / 10000 = 137.45 -> 137; 2499 + 137 = 2636",
        order(FRANCE, item(1, 833, 3, tax_class="reduced"), rules=NET),
        gives(2636, 137, [(0, 137)], added("FR/reduced", 137)),
    ),
    Example(
        "france-press",
        "490 x 210 / 10210 = 10.08 -> 10",
        order(FRANCE, item(1, 490, tax_class="press")),
        gives(490, 10, [(0, 10)], included("FR/press", 10)),
    ),
    Example(
        "britain-half-up",
        "15 x 2000 / 12000 = 2.50 -> 3, and not to the even 2",
        order(BRITAIN, item(1, 15)),
        gives(15, 3, [(0, 3)], included("GB", 3)),
    ),
    Example(
        "britain-zero-rate-is-shown",
        "1200 x 0 / 10000 = 0; 600 x 2000 / 12000 = 100; 1200 + 600 = 1800",
        order(BRITAIN, item(1, 1200, tax_class="zero"), item(2, 600)),
        gives(1800, 100, [(0, 0), (0, 100)], included("GB", 100), included("GB/zero", 0)),
    ),
    Example(
        "britain-net",
        "3 x 333 = 999; 999 x 2000 / 10000 = 199.80 -> 200; 999 + 200 = 1199",
        order(BRITAIN, item(1, 333, 3), rules=NET),
        gives(1199, 200, [(0, 200)], added("GB", 200)),
    ),
    Example(
        "japan-one-line",
        "1980 x 1000 / 11000 = 180",
        order(JAPAN, item(1, 1980)),
        gives(1980, 180, [(0, 180)], included("JP", 180)),
    ),
    Example(
        "japan-two-rates",
        "2 x 550 = 1100; 1100 x 1000 / 11000 = 100; 3 x 198 = 594; 594 x 800 / 10800 = 44; "
        "100 + 44 = 144; 1100 + 594 = 1694",
        order(JAPAN, item(1, 550, 2), item(2, 198, 3, tax_class="reduced")),
        gives(1694, 144, [(0, 100), (0, 44)], included("JP", 100), included("JP/reduced", 44)),
    ),
    Example(
        "japan-rounds-to-whole-yen",
        "105 x 800 / 10800 = 7.78 -> 8",
        order(JAPAN, item(1, 105, tax_class="reduced")),
        gives(105, 8, [(0, 8)], included("JP/reduced", 8)),
    ),
    Example(
        "japan-net",
        "333 x 1000 / 10000 = 33.30 -> 33; 5 x 1000 / 10000 = 0.50 -> 1; 33 + 1 = 34; 333 + 5 + 34 = 372",
        order(JAPAN, item(1, 333), item(2, 5), rules=NET),
        gives(372, 34, [(0, 33), (0, 1)], added("JP", 34)),
    ),
    Example(
        "kuwait-three-digits",
        "12500 x 500 / 10500 = 595.24 -> 595",
        order(KUWAIT, item(1, 12500)),
        gives(12500, 595, [(0, 595)], included("KW", 595)),
    ),
    Example(
        "kuwait-basic",
        "3 x 750 = 2250; 2250 x 0 / 10000 = 0",
        order(KUWAIT, item(1, 750, 3, tax_class="basic")),
        gives(2250, 0, [(0, 0)], included("KW/basic", 0)),
    ),
    Example(
        "kuwait-net",
        "2 x 7325 = 14650; 14650 x 500 / 10000 = 732.50 -> 733; 14650 + 733 = 15383",
        order(KUWAIT, item(1, 7325, 2), rules=NET),
        gives(15383, 733, [(0, 733)], added("KW", 733)),
    ),
    Example(
        "switzerland-two-rates",
        "8900 x 810 / 10810 = 666.88 -> 667; 2 x 1450 = 2900; 2900 x 260 / 10260 = 73.49 -> 73; "
        "667 + 73 = 740; 8900 + 2900 = 11800",
        order(SWITZERLAND, item(1, 8900), item(2, 1450, 2, tax_class="reduced")),
        gives(11800, 740, [(0, 667), (0, 73)], included("CH", 667), included("CH/reduced", 73)),
    ),
    Example(
        "switzerland-net",
        "4555 x 810 / 10000 = 368.96 -> 369; 4555 + 369 = 4924",
        order(SWITZERLAND, item(1, 4555), rules=NET),
        gives(4924, 369, [(0, 369)], added("CH", 369)),
    ),
    Example(
        "california-net",
        "2 x 1999 = 3998; 3998 x 725 / 10000 = 289.86 -> 290; 3998 + 290 = 4288",
        order(CALIFORNIA, item(1, 1999, 2), rules=NET),
        gives(4288, 290, [(0, 290)], added("US-CA", 290)),
    ),
    Example(
        "california-grocery",
        "1000 x 725 / 10000 = 72.50 -> 73; 650 x 0 / 10000 = 0; 1000 + 650 + 73 = 1723",
        order(CALIFORNIA, item(1, 1000), item(2, 650, tax_class="grocery"), rules=NET),
        gives(1723, 73, [(0, 73), (0, 0)], added("US-CA", 73), added("US-CA/grocery", 0)),
    ),
    Example(
        "washington-net",
        "7 x 99 = 693; 693 x 650 / 10000 = 45.05 -> 45; 693 + 45 = 738",
        order(WASHINGTON, item(1, 99, 7), rules=NET),
        gives(738, 45, [(0, 45)], added("US-WA", 45)),
    ),
    Example(
        "oregon-has-a-rate-of-zero",
        "3998 x 0 / 10000 = 0",
        order(OREGON, item(1, 3998), rules=NET),
        gives(3998, 0, [(0, 0)], added("US-OR", 0)),
    ),
    Example(
        "montana-has-no-rate",
        "2 x 1999 = 3998; the US have no rate, and neither has Montana",
        order(MONTANA, item(1, 1999, 2), rules=NET),
        gives(3998, 0, [(0, 0)]),
    ),
    Example(
        "ontario-beats-canada",
        "5000 x 1300 / 10000 = 650; 5000 + 650 = 5650",
        order(Destination("CA", "CA-ON"), item(1, 5000), rules=NET),
        gives(5650, 650, [(0, 650)], added("CA-ON", 650)),
    ),
    Example(
        "alberta-takes-the-rate-of-canada",
        "5000 x 500 / 10000 = 250; 5000 + 250 = 5250",
        order(Destination("CA", "CA-AB"), item(1, 5000), rules=NET),
        gives(5250, 250, [(0, 250)], added("CA", 250)),
    ),
    Example(
        "canada-is-not-california",
        "CA alone is the country; 5000 x 500 / 10000 = 250; 5000 + 250 = 5250",
        order(CANADA, item(1, 5000), rules=NET),
        gives(5250, 250, [(0, 250)], added("CA", 250)),
    ),
    Example(
        "spain-class-beats-none",
        "3300 x 1000 / 11000 = 300",
        order(SPAIN, item(1, 3300, tax_class="reduced")),
        gives(3300, 300, [(0, 300)], included("ES/reduced", 300)),
    ),
    Example(
        "spain-unknown-class-takes-the-rate-without",
        "3300 x 2100 / 12100 = 572.73 -> 573",
        order(SPAIN, item(1, 3300, tax_class="garden")),
        gives(3300, 573, [(0, 573)], included("ES", 573)),
    ),
    Example(
        "canary-islands-beat-the-class-of-spain",
        "ES-CN has no reduced rate, but comes first; 3300 x 700 / 10700 = 215.89 -> 216",
        order(Destination("ES", "ES-CN"), item(1, 3300, tax_class="reduced")),
        gives(3300, 216, [(0, 216)], included("ES-CN", 216)),
    ),
    Example(
        "canary-islands-class-of-the-region",
        "3300 x 1500 / 11500 = 430.43 -> 430",
        order(Destination("ES", "ES-CN"), item(1, 3300, tax_class="luxury")),
        gives(3300, 430, [(0, 430)], included("ES-CN/luxury", 430)),
    ),
    Example(
        "a-country-without-rates",
        "2 x 1500 = 3000, and no tax",
        order(AUSTRALIA, item(1, 1500, 2)),
        gives(3000, 0, [(0, 0)]),
    ),
    Example(
        "no-destination-no-tax",
        "2 x 1500 = 3000; 3000 x 10 / 100 = 300; 3000 - 300 = 2700, and no tax",
        order(None, item(1, 1500, 2), coupon=percent(10)),
        gives(2700, 0, [(300, 0)], discount("OFF", -300)),
    ),
]
COUPONS = [
    Example(
        "percent-rounds-each-line",
        "995 x 10 / 100 = 99.50 -> 100 for each line; 100 + 100 = 200; 995 - 100 = 895; "
        "895 x 1900 / 11900 = 142.90 -> 143; 143 + 143 = 286; 1990 - 200 = 1790",
        order(GERMANY, item(1, 995), item(2, 995), coupon=percent(10)),
        gives(1790, 286, [(100, 143), (100, 143)], discount("OFF", -200), included("DE", 286)),
    ),
    Example(
        "percent-half-up",
        "5 x 50 / 100 = 2.50 -> 3, and not to the even 2; 5 - 3 = 2",
        order(AUSTRALIA, item(1, 5), coupon=percent(50)),
        gives(2, 0, [(3, 0)], discount("OFF", -3)),
    ),
    Example(
        "percent-net",
        "3 x 1235 = 3705; 3705 x 15 / 100 = 555.75 -> 556; 3705 - 556 = 3149; "
        "3149 x 1900 / 10000 = 598.31 -> 598; 3149 + 598 = 3747",
        order(GERMANY, item(1, 1235, 3), coupon=percent(15), rules=NET),
        gives(3747, 598, [(556, 598)], discount("OFF", -556), added("DE", 598)),
    ),
    Example(
        "percent-of-yen",
        "1980 x 33 / 100 = 653.40 -> 653; 1980 - 653 = 1327; 1327 x 1000 / 11000 = 120.64 -> 121",
        order(JAPAN, item(1, 1980), coupon=percent(33)),
        gives(1327, 121, [(653, 121)], discount("OFF", -653), included("JP", 121)),
    ),
    Example(
        "percent-of-fils",
        "12345 x 15 / 100 = 1851.75 -> 1852; 12345 - 1852 = 10493; 10493 x 500 / 10500 = 499.67 -> 500",
        order(KUWAIT, item(1, 12345), coupon=percent(15)),
        gives(10493, 500, [(1852, 500)], discount("OFF", -1852), included("KW", 500)),
    ),
    Example(
        "percent-of-one-product",
        "4000 x 25 / 100 = 1000; 3000 + 4000 - 1000 = 6000; 3000 x 1900 / 11900 = 478.99 -> 479 twice; "
        "479 + 479 = 958",
        order(GERMANY, item(1, 3000), item(2, 4000), coupon=percent(25, products=(2,))),
        gives(6000, 958, [(0, 479), (1000, 479)], discount("OFF", -1000), included("DE", 958)),
    ),
    Example(
        "percent-of-all-variants-of-a-product",
        "1500 x 20 / 100 = 300; 1750 x 20 / 100 = 350; 1500 + 1750 + 900 = 4150; 4150 - 650 = 3500; "
        "1200 x 2000 / 12000 = 200; 1400 x 2000 / 12000 = 233.33 -> 233; 900 x 2000 / 12000 = 150; "
        "200 + 233 + 150 = 583",
        order(
            BRITAIN,
            item(71, 1500, product_id=7),
            item(72, 1750, product_id=7),
            item(80, 900, product_id=8),
            coupon=percent(20, products=(7,)),
        ),
        gives(3500, 583, [(300, 200), (350, 233), (0, 150)], discount("OFF", -650), included("GB", 583)),
    ),
    Example(
        "percent-of-a-category-with-what-is-below",
        "8000 x 10 / 100 = 800; 12000 x 10 / 100 = 1200; shoes-care is not in shoes; "
        "8000 + 12000 + 990 - 2000 = 18990; 7200 x 2000 / 12000 = 1200; 10800 x 2000 / 12000 = 1800; "
        "990 x 2000 / 12000 = 165; 1200 + 1800 + 165 = 3165",
        order(
            BRITAIN,
            item(1, 8000, category="shoes"),
            item(2, 12000, category="shoes/boots"),
            item(3, 990, category="shoes-care"),
            coupon=percent(10, categories=("shoes",)),
        ),
        gives(
            18990,
            3165,
            [(800, 1200), (1200, 1800), (0, 165)],
            discount("OFF", -2000),
            included("GB", 3165),
        ),
    ),
    Example(
        "percent-of-a-sub-category-without-what-is-above",
        "10000 x 30 / 100 = 3000; 5000 + 10000 - 3000 = 12000; 5000 x 2000 / 12000 = 833.33 -> 833; "
        "7000 x 2000 / 12000 = 1166.67 -> 1167; 833 + 1167 = 2000",
        order(
            BRITAIN,
            item(1, 5000, category="shoes"),
            item(2, 10000, category="shoes/boots/winter"),
            coupon=percent(30, categories=("shoes/boots",)),
        ),
        gives(12000, 2000, [(0, 833), (3000, 1167)], discount("OFF", -3000), included("GB", 2000)),
    ),
    Example(
        "percent-of-a-product-and-of-a-category",
        "600 x 50 / 100 = 300; 900 x 50 / 100 = 450; 600 + 700 + 900 = 2200; 2200 - 750 = 1450",
        order(
            AUSTRALIA,
            item(1, 600, category="tea"),
            item(2, 700, category="cups"),
            item(3, 900, category="cups"),
            coupon=percent(50, products=(3,), categories=("tea",)),
        ),
        gives(1450, 0, [(300, 0), (0, 0), (450, 0)], discount("OFF", -750)),
    ),
    Example(
        "percent-with-the-exact-minimum",
        "2 x 2500 = 5000, which is the minimum; 5000 x 10 / 100 = 500; 5000 - 500 = 4500; "
        "4500 x 2000 / 12000 = 750",
        order(BRITAIN, item(1, 2500, 2), coupon=percent(10, minimum=5000)),
        gives(4500, 750, [(500, 750)], discount("OFF", -500), included("GB", 750)),
    ),
    Example(
        "minimum-counts-all-items-before-the-discount",
        "1000 + 4000 = 5000, which is the minimum; 1000 x 50 / 100 = 500; 5000 - 500 = 4500; "
        "500 x 2000 / 12000 = 83.33 -> 83; 4000 x 2000 / 12000 = 666.67 -> 667; 83 + 667 = 750",
        order(BRITAIN, item(1, 1000), item(2, 4000), coupon=percent(50, products=(1,), minimum=5000)),
        gives(4500, 750, [(500, 83), (0, 667)], discount("OFF", -500), included("GB", 750)),
    ),
    Example(
        "all-of-it-off",
        "2 x 6490 = 12980; 12980 x 100 / 100 = 12980; 12980 - 12980 = 0, and no tax",
        order(GERMANY, item(1, 6490, 2), coupon=percent(100)),
        gives(0, 0, [(12980, 0)], discount("OFF", -12980)),
    ),
    Example(
        "all-of-it-off-but-shipping",
        "12980 - 12980 + 490 = 490; 490 x 1900 / 11900 = 78.24 -> 78",
        order(GERMANY, item(1, 6490, 2), coupon=percent(100), method=POST),
        gives(490, 78, [(12980, 0)], discount("OFF", -12980), shipping("post", 490), included("DE", 78)),
    ),
    Example(
        "all-of-it-off-but-net-shipping",
        "5000 - 5000 + 799 = 799; 799 x 725 / 10000 = 57.93 -> 58; 799 + 58 = 857",
        order(CALIFORNIA, item(1, 5000), coupon=percent(100), method=GROUND, rules=NET),
        gives(857, 58, [(5000, 0)], discount("OFF", -5000), shipping("ground", 799), added("US-CA", 58)),
    ),
    Example(
        "amount-in-proportion",
        "1000 x 3000 / 9000 = 333.33, 1000 x 6000 / 9000 = 666.67, so 333 and 667; "
        "2667 x 1900 / 11900 = 425.82 -> 426; 5333 x 1900 / 11900 = 851.49 -> 851; 426 + 851 = 1277; "
        "9000 - 1000 = 8000",
        order(GERMANY, item(1, 3000), item(2, 6000), coupon=fixed(1000)),
        gives(8000, 1277, [(333, 426), (667, 851)], discount("OFF", -1000), included("DE", 1277)),
    ),
    Example(
        "amount-with-included-tax",
        "5000 - 1000 = 4000, and not 3900; 4000 x 2000 / 12000 = 666.67 -> 667",
        order(FRANCE, item(1, 5000), coupon=fixed(1000)),
        gives(4000, 667, [(1000, 667)], discount("OFF", -1000), included("FR", 667)),
    ),
    Example(
        "amount-over-two-rates",
        "500 x 1900 / 3000 = 316.67, 500 x 1100 / 3000 = 183.33, so 317 and 183; 1900 - 317 = 1583; "
        "1100 - 183 = 917; 1583 x 1900 / 11900 = 252.75 -> 253; 917 x 700 / 10700 = 59.99 -> 60; "
        "253 + 60 = 313; 3000 - 500 = 2500",
        order(GERMANY, item(1, 1900), item(2, 1100, tax_class="reduced"), coupon=fixed(500)),
        gives(
            2500,
            313,
            [(317, 253), (183, 60)],
            discount("OFF", -500),
            included("DE", 253),
            included("DE/reduced", 60),
        ),
    ),
    Example(
        "amount-net",
        "1000 x 10000 / 15000 = 666.67, 1000 x 5000 / 15000 = 333.33, so 667 and 333; "
        "9333 x 725 / 10000 = 676.64 -> 677; 4667 x 725 / 10000 = 338.36 -> 338; 677 + 338 = 1015; "
        "15000 - 1000 + 1015 = 15015",
        order(CALIFORNIA, item(1, 10000), item(2, 5000), coupon=fixed(1000), rules=NET),
        gives(15015, 1015, [(667, 677), (333, 338)], discount("OFF", -1000), added("US-CA", 1015)),
    ),
    Example(
        "amount-tie-of-three-one-cent-left",
        "100 x 1000 / 3000 = 33.33 for each line, rest 1 for variant 1; 34 + 33 + 33 = 100; "
        "3000 - 100 = 2900",
        order(AUSTRALIA, item(3, 1000), item(2, 1000), item(1, 1000), coupon=fixed(100)),
        gives(2900, 0, [(34, 0), (33, 0), (33, 0)], discount("OFF", -100)),
    ),
    Example(
        "amount-tie-of-three-two-cents-left",
        "5 x 100 / 300 = 1.67 for each line, rest 2 for variants 1 and 2; 2 + 2 + 1 = 5; 300 - 5 = 295",
        order(AUSTRALIA, item(2, 100), item(3, 100), item(1, 100), coupon=fixed(5)),
        gives(295, 0, [(2, 0), (2, 0), (1, 0)], discount("OFF", -5)),
    ),
    Example(
        "amount-tie-of-two",
        "5 x 100 / 200 = 2.50 for each line, rest 1 for variant 8; 3 + 2 = 5; 200 - 5 = 195",
        order(AUSTRALIA, item(9, 100), item(8, 100), coupon=fixed(5)),
        gives(195, 0, [(3, 0), (2, 0)], discount("OFF", -5)),
    ),
    Example(
        "amount-larger-remainder-beats-the-lower-number",
        "10 x 100 / 300 = 3.33, 10 x 200 / 300 = 6.67, rest 1 for variant 2; 3 + 7 = 10; 300 - 10 = 290",
        order(AUSTRALIA, item(1, 100), item(2, 200), coupon=fixed(10)),
        gives(290, 0, [(3, 0), (7, 0)], discount("OFF", -10)),
    ),
    Example(
        "amount-of-one-cent",
        "1 x 1000 / 3000 = 0.33 for each line, rest 1 for variant 1; 3000 - 1 = 2999",
        order(AUSTRALIA, item(1, 1000), item(2, 1000), item(3, 1000), coupon=fixed(1)),
        gives(2999, 0, [(1, 0), (0, 0), (0, 0)], discount("OFF", -1)),
    ),
    Example(
        "amount-and-a-free-item",
        "300 x 0 / 1000 = 0, 300 x 1000 / 1000 = 300; 1000 - 300 = 700; 700 x 810 / 10810 = 52.45 -> 52",
        order(SWITZERLAND, item(1, 0), item(2, 1000), coupon=fixed(300)),
        gives(700, 52, [(0, 0), (300, 52)], discount("OFF", -300), included("CH", 52)),
    ),
    Example(
        "amount-off-a-gift",
        "0 is less than 300; 0 + 1000 - 0 = 1000; 1000 x 810 / 10810 = 74.93 -> 75",
        order(SWITZERLAND, item(1, 0), item(2, 1000), coupon=fixed(300, products=(1,))),
        gives(1000, 75, [(0, 0), (0, 75)], discount("OFF", 0), included("CH", 75)),
    ),
    Example(
        "amount-larger-than-the-order",
        "1200 + 800 = 2000, which is less than 5000; 2000 - 2000 = 0, and no tax",
        order(GERMANY, item(1, 1200), item(2, 800), coupon=fixed(5000)),
        gives(0, 0, [(1200, 0), (800, 0)], discount("OFF", -2000)),
    ),
    Example(
        "amount-larger-than-its-product",
        "800 is less than 5000; 1200 + 800 - 800 = 1200; 1200 x 2000 / 12000 = 200",
        order(BRITAIN, item(1, 1200), item(2, 800), coupon=fixed(5000, products=(2,))),
        gives(1200, 200, [(0, 200), (800, 0)], discount("OFF", -800), included("GB", 200)),
    ),
    Example(
        "amount-larger-than-the-order-leaves-shipping",
        "2000 - 2000 + 490 = 490; 490 x 1900 / 11900 = 78.24 -> 78",
        order(GERMANY, item(1, 2000), coupon=fixed(9000), method=POST),
        gives(490, 78, [(2000, 0)], discount("OFF", -2000), shipping("post", 490), included("DE", 78)),
    ),
    Example(
        "amount-over-a-category",
        "300 x 400 / 1000 = 120, 300 x 600 / 1000 = 180; 400 + 600 + 500 = 1500; 1500 - 300 = 1200; "
        "280 x 1000 / 11000 = 25.45 -> 25; 420 x 1000 / 11000 = 38.18 -> 38; "
        "500 x 1000 / 11000 = 45.45 -> 45; 25 + 38 + 45 = 108",
        order(
            JAPAN,
            item(1, 400, category="tea"),
            item(2, 600, category="tea/green"),
            item(3, 500, category="cups"),
            coupon=fixed(300, categories=("tea",), minimum=1500),
        ),
        gives(1200, 108, [(120, 25), (180, 38), (0, 45)], discount("OFF", -300), included("JP", 108)),
    ),
    Example(
        "free-shipping",
        "6490 + 490 - 490 = 6490; 6490 x 1900 / 11900 = 1036.22 -> 1036, and no tax of shipping",
        order(GERMANY, item(1, 6490), coupon=FREE, method=POST),
        gives(6490, 1036, [(0, 1036)], discount("FREE", -490), shipping("post", 490), included("DE", 1036)),
    ),
    Example(
        "free-shipping-net",
        "5000 x 725 / 10000 = 362.50 -> 363; 5000 + 799 - 799 + 363 = 5363",
        order(CALIFORNIA, item(1, 5000), coupon=FREE, method=GROUND, rules=NET),
        gives(5363, 363, [(0, 363)], discount("FREE", -799), shipping("ground", 799), added("US-CA", 363)),
    ),
    Example(
        "free-shipping-that-is-free-already",
        "6490 is at least 5000, so shipping is 0; 6490 - 0 = 6490; 6490 x 1900 / 11900 = 1036.22 -> 1036",
        order(GERMANY, item(1, 6490), coupon=FREE, method=POST_FREE_FROM_50),
        gives(6490, 1036, [(0, 1036)], discount("FREE", 0), shipping("post", 0), included("DE", 1036)),
    ),
    Example(
        "free-shipping-without-a-method",
        "6490 - 0 = 6490; 6490 x 1900 / 11900 = 1036.22 -> 1036",
        order(GERMANY, item(1, 6490), coupon=FREE),
        gives(6490, 1036, [(0, 1036)], discount("FREE", 0), included("DE", 1036)),
    ),
    Example(
        "free-shipping-for-one-product-of-two",
        "the coupon applies to variant 1, and shipping is one price; 1000 + 2000 + 490 - 490 = 3000",
        order(AUSTRALIA, item(1, 1000), item(2, 2000), coupon=replace(FREE, products=(1,)), method=POST),
        gives(3000, 0, [(0, 0), (0, 0)], discount("FREE", -490), shipping("post", 490)),
    ),
]
SHIPPING = [
    Example(
        "fixed-price",
        "6490 + 490 = 6980; 6490 x 1900 / 11900 = 1036.22 -> 1036; 490 x 1900 / 11900 = 78.24 -> 78; "
        "1036 + 78 = 1114",
        order(GERMANY, item(1, 6490), method=POST),
        gives(6980, 1114, [(0, 1036)], shipping("post", 490), included("DE", 1114)),
    ),
    Example(
        "fixed-price-net",
        "5000 x 725 / 10000 = 362.50 -> 363; 799 x 725 / 10000 = 57.93 -> 58; 363 + 58 = 421; "
        "5000 + 799 + 421 = 6220",
        order(CALIFORNIA, item(1, 5000), method=GROUND, rules=NET),
        gives(6220, 421, [(0, 363)], shipping("ground", 799), added("US-CA", 421)),
    ),
    Example(
        "tax-of-shipping-is-in-the-sum",
        "2300 x 2100 / 12100 = 399.17 -> 399; 675 x 2100 / 12100 = 117.15 -> 117; 399 + 117 = 516; "
        "2300 + 675 = 2975",
        order(NETHERLANDS, item(1, 2300), method=replace(POST, price=675)),
        gives(2975, 516, [(0, 399)], shipping("post", 675), included("NL", 516)),
    ),
    Example(
        "fixed-price-in-yen",
        "1980 x 1000 / 11000 = 180; 800 x 1000 / 11000 = 72.73 -> 73; 180 + 73 = 253; 1980 + 800 = 2780",
        order(JAPAN, item(1, 1980), method=replace(POST, price=800)),
        gives(2780, 253, [(0, 180)], shipping("post", 800), included("JP", 253)),
    ),
    Example(
        "fixed-price-in-fils",
        "12500 x 500 / 10500 = 595.24 -> 595; 1500 x 500 / 10500 = 71.43 -> 71; 595 + 71 = 666; "
        "12500 + 1500 = 14000",
        order(KUWAIT, item(1, 12500), method=replace(POST, price=1500)),
        gives(14000, 666, [(0, 595)], shipping("post", 1500), included("KW", 666)),
    ),
    Example(
        "weight-reaches-a-step",
        "2 x 950 + 100 = 2000 grams, so 690; 2 x 2000 + 500 + 690 = 5190; "
        "4000 x 810 / 10810 = 299.72 -> 300; 500 x 810 / 10810 = 37.47 -> 37; "
        "690 x 810 / 10810 = 51.70 -> 52; 300 + 37 + 52 = 389",
        order(
            SWITZERLAND,
            item(1, 2000, 2, weight_grams=950),
            item(2, 500, weight_grams=100),
            method=BY_WEIGHT,
        ),
        gives(5190, 389, [(0, 300), (0, 37)], shipping("weight", 690), included("CH", 389)),
    ),
    Example(
        "weight-one-gram-below-a-step",
        "1999 grams, so 490; 500 + 490 = 990",
        order(AUSTRALIA, item(1, 500, weight_grams=1999), method=BY_WEIGHT),
        gives(990, 0, [(0, 0)], shipping("weight", 490)),
    ),
    Example(
        "things-without-weight",
        "3 x 0 = 0 grams, so 490; 3 x 500 + 490 = 1990",
        order(AUSTRALIA, item(1, 500, 3), method=BY_WEIGHT),
        gives(1990, 0, [(0, 0)], shipping("weight", 490)),
    ),
    Example(
        "things-without-weight-beside-a-heavy-one",
        "12000 + 0 = 12000 grams, so 1690; 5000 + 500 + 1690 = 7190",
        order(AUSTRALIA, item(1, 5000, weight_grams=12_000), item(2, 500), method=BY_WEIGHT),
        gives(7190, 0, [(0, 0), (0, 0)], shipping("weight", 1690)),
    ),
    Example(
        "amount-reaches-a-step",
        "2 x 2500 = 5000, so 290; 5000 + 290 = 5290",
        order(AUSTRALIA, item(1, 2500, 2), method=BY_AMOUNT),
        gives(5290, 0, [(0, 0)], shipping("value", 290)),
    ),
    Example(
        "amount-below-a-step-after-the-discount",
        "5500 x 10 / 100 = 550; 5500 - 550 = 4950, so 590; 4950 + 590 = 5540",
        order(AUSTRALIA, item(1, 5500), coupon=percent(10), method=BY_AMOUNT),
        gives(5540, 0, [(550, 0)], discount("OFF", -550), shipping("value", 590)),
    ),
    Example(
        "amount-reaches-the-step-without-a-price",
        "10000, so 0; 10000 + 0 = 10000; 10000 x 2000 / 12000 = 1666.67 -> 1667",
        order(BRITAIN, item(1, 10000), method=BY_AMOUNT),
        gives(10000, 1667, [(0, 1667)], shipping("value", 0), included("GB", 1667)),
    ),
    Example(
        "free-from-is-not-reached-after-the-discount",
        "5200 x 5 / 100 = 260; 5200 - 260 = 4940, which is less than 5000; 4940 + 490 = 5430; "
        "4940 x 1900 / 11900 = 788.74 -> 789; 490 x 1900 / 11900 = 78.24 -> 78; 789 + 78 = 867",
        order(GERMANY, item(1, 5200), coupon=percent(5), method=POST_FREE_FROM_50),
        gives(5430, 867, [(260, 789)], discount("OFF", -260), shipping("post", 490), included("DE", 867)),
    ),
    Example(
        "free-from-is-reached-exactly-after-the-discount",
        "5200 - 200 = 5000, so shipping is 0; 5000 x 1900 / 11900 = 798.32 -> 798",
        order(GERMANY, item(1, 5200), coupon=fixed(200), method=POST_FREE_FROM_50),
        gives(5000, 798, [(200, 798)], discount("OFF", -200), shipping("post", 0), included("DE", 798)),
    ),
    Example(
        "free-from-counts-net-prices-without-tax",
        "4600 is less than 5000, though 4600 + 874 = 5474; 4600 x 1900 / 10000 = 874; "
        "490 x 1900 / 10000 = 93.10 -> 93; 874 + 93 = 967; 4600 + 490 + 967 = 6057",
        order(GERMANY, item(1, 4600), method=POST_FREE_FROM_50, rules=NET),
        gives(6057, 967, [(0, 874)], shipping("post", 490), added("DE", 967)),
    ),
    Example(
        "shipping-of-a-tax-class",
        "2499 x 700 / 10700 = 163.49 -> 163; 390 x 700 / 10700 = 25.51 -> 26; 163 + 26 = 189; "
        "2499 + 390 = 2889",
        order(
            GERMANY,
            item(1, 2499, tax_class="reduced"),
            method=replace(POST, price=390, tax_class="reduced"),
        ),
        gives(2889, 189, [(0, 163)], shipping("post", 390), included("DE/reduced", 189)),
    ),
    Example(
        "shipping-without-a-class-takes-the-rate-without",
        "2499 x 700 / 10700 = 163.49 -> 163; 390 x 1900 / 11900 = 62.27 -> 62; 163 + 62 = 225; "
        "2499 + 390 = 2889",
        order(GERMANY, item(1, 2499, tax_class="reduced"), method=replace(POST, price=390)),
        gives(2889, 225, [(0, 163)], shipping("post", 390), included("DE", 62), included("DE/reduced", 163)),
    ),
    Example(
        "shipping-of-an-unknown-class-takes-the-rate-without",
        "1070 x 700 / 10700 = 70; 1190 x 1900 / 11900 = 190; 70 + 190 = 260; 1070 + 1190 = 2260",
        order(
            GERMANY,
            item(1, 1070, tax_class="reduced"),
            method=replace(POST, price=1190, tax_class="parcel"),
        ),
        gives(2260, 260, [(0, 70)], shipping("post", 1190), included("DE", 190), included("DE/reduced", 70)),
    ),
    Example(
        "shipping-to-a-region-takes-its-rate",
        "8000 x 400 / 10000 = 320; 2500 x 400 / 10000 = 100; 320 + 100 = 420; 8000 + 2500 + 420 = 10920",
        order(
            HAWAII,
            item(1, 8000),
            method=ShippingMethod("islands", "Islands", regions=("US-AK", "US-HI"), price=2500),
            rules=NET,
        ),
        gives(10920, 420, [(0, 320)], shipping("islands", 2500), added("US-HI", 420)),
    ),
    Example(
        "a-postal-code-beside-the-excluded-island",
        "27499 is not 27498; 1000 + 490 = 1490; 1000 x 1900 / 11900 = 159.66 -> 160; "
        "490 x 1900 / 11900 = 78.24 -> 78; 160 + 78 = 238",
        order(
            Destination("DE", None, "27499"),
            item(1, 1000),
            method=replace(POST, countries=("DE",), postal_codes=("27*", "!27498")),
        ),
        gives(1490, 238, [(0, 160)], shipping("post", 490), included("DE", 238)),
    ),
    Example(
        "a-postal-code-in-small-letters-with-a-space",
        "sw1a 1aa is SW1A1AA; 1200 + 490 = 1690; 1200 x 2000 / 12000 = 200; "
        "490 x 2000 / 12000 = 81.67 -> 82; 200 + 82 = 282",
        order(
            Destination("GB", None, "sw1a 1aa"),
            item(1, 1200),
            method=replace(POST, postal_codes=("SW1A*", "!IM*", "!HS*")),
        ),
        gives(1690, 282, [(0, 200)], shipping("post", 490), included("GB", 282)),
    ),
    Example(
        "a-method-that-excludes-only-other-classes",
        "1000 + 490 = 1490, because no item is dangerous",
        order(
            AUSTRALIA,
            item(1, 1000, tax_class="reduced"),
            method=replace(POST, excluded_tax_classes=("dangerous",)),
        ),
        gives(1490, 0, [(0, 0)], shipping("post", 490)),
    ),
    Example(
        "a-gift-alone-is-a-total-of-zero",
        "2 x 0 = 0; 0 is at least 0, so shipping is 0",
        order(GERMANY, item(1, 0, 2), method=replace(POST, free_from=0)),
        gives(0, 0, [(0, 0)], shipping("post", 0)),
    ),
    Example(
        "a-gift-and-free-shipping-is-a-total-of-zero",
        "0 + 799 - 799 = 0, and no tax",
        order(CALIFORNIA, item(1, 0), coupon=FREE, method=GROUND, rules=NET),
        gives(0, 0, [(0, 0)], discount("FREE", -799), shipping("ground", 799)),
    ),
    Example("no-items", "0", order(GERMANY), gives(0, 0, [])),
]
EXAMPLES = [*TAXES, *COUPONS, *SHIPPING]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.id)
def test_an_order_costs_what_was_computed_by_hand(example):
    purchase = example.purchase
    totals = price_order(
        purchase.items, purchase.coupon, purchase.destination, purchase.method, purchase.rules
    )
    priced = Expected(
        totals.amount,
        totals.tax_amount,
        tuple((line.discount_amount, line.tax_amount) for line in totals.lines),
        tuple((each.kind, each.code, each.amount, each.included) for each in totals.adjustments),
    )
    assert priced == example.expected, example.why


@dataclass(frozen=True)
class Step:
    """A wanted refund, and the refunded amount or the code of the refusal and what it says is left."""

    wanted: int | None
    answer: int | tuple[str, int | None]
    restock: bool = False


@dataclass(frozen=True)
class RefundExample:
    """A paid order, its refunds one after the other, and what they come to."""

    id: str
    why: str
    items_amount: int
    adjustments: tuple[tuple[str, str, int, bool], ...]
    paid: int
    steps: tuple[Step, ...]
    refunded: int
    status: Status = Status.REFUNDED


def exceeds(left: int) -> tuple[str, int]:
    return "refund_exceeds_order", left


NOT_REFUNDABLE = ("order_not_refundable", None)
REFUNDS = [
    RefundExample(
        "net-and-tax-rounded-apart-are-a-cent-too-high",
        "10 x 2390 = 23900; 23900 x 25 / 100 = 5975; 23900 - 5975 = 17925; "
        "tax 17925 x 2000 / 12000 = 2987.50 -> 2988; "
        "net 17925 x 10000 / 12000 = 14937.50 -> 14938, but 14938 + 2988 = 17926",
        23900,
        (discount("OFF", -5975), included("GB", 2988)),
        17925,
        (Step(17926, exceeds(17925)), Step(None, 17925), Step(None, NOT_REFUNDABLE)),
        17925,
    ),
    RefundExample(
        "lines-with-23-percent-do-not-add-up-a-cent-too-high",
        "999 + 999 + 499 = 2497; tax 999 x 2300 / 12300 = 186.80 -> 187; 499 x 2300 / 12300 = 93.31 -> 93; "
        "187 + 187 + 93 = 467; 2497 - 999 - 999 = 499, and not 500",
        2497,
        (included("PT", 467),),
        2497,
        (Step(999, 999), Step(999, 999), Step(500, exceeds(499)), Step(499, 499)),
        2497,
    ),
    RefundExample(
        "units-of-a-discounted-line-rounded-up",
        "3 x 333 = 999; 999 x 10 / 100 = 99.90 -> 100; 999 - 100 = 899; 899 / 3 = 299.67 -> 300; "
        "899 - 300 - 300 = 299",
        999,
        (discount("OFF", -100),),
        899,
        (Step(300, 300), Step(300, 300), Step(300, exceeds(299)), Step(None, 299)),
        899,
    ),
    RefundExample(
        "three-thirds-of-a-hundred",
        "10000 / 3 = 3333.33 -> 3333; 10000 - 3333 - 3333 = 3334",
        10000,
        (),
        10000,
        (Step(3333, 3333), Step(3333, 3333), Step(3335, exceeds(3334)), Step(None, 3334)),
        10000,
    ),
    RefundExample(
        "lines-of-an-amount-coupon-and-then-shipping",
        "3000 - 333 = 2667; 6000 - 667 = 5333; 9000 - 1000 + 490 = 8490; 8490 - 2667 - 5333 = 490",
        9000,
        (discount("OFF", -1000), shipping("post", 490), included("DE", 1355)),
        8490,
        (Step(2667, 2667), Step(5333, 5333), Step(491, exceeds(490)), Step(None, 490)),
        8490,
    ),
    RefundExample(
        "the-discount-is-not-refunded",
        "9000 - 1000 = 8000",
        9000,
        (discount("OFF", -1000), included("DE", 1277)),
        8000,
        (Step(9000, exceeds(8000)), Step(8000, 8000)),
        8000,
    ),
    RefundExample(
        "an-included-tax-is-not-refunded-on-top",
        "2 x 6490 = 12980; 12980 x 1900 / 11900 = 2072.44 -> 2072; 12980 + 2072 = 15052 was never paid",
        12980,
        (included("DE", 2072),),
        12980,
        (Step(15052, exceeds(12980)), Step(2072, 2072), Step(None, 10908)),
        12980,
    ),
    RefundExample(
        "an-added-tax-is-refunded-with-its-item",
        "5000 x 725 / 10000 = 362.50 -> 363; 5000 + 363 = 5363; 799 x 725 / 10000 = 57.93 -> 58; "
        "799 + 58 = 857; 5363 + 857 = 6220",
        5000,
        (shipping("ground", 799), added("US-CA", 421)),
        6220,
        (Step(5363, 5363), Step(858, exceeds(857)), Step(857, 857)),
        6220,
    ),
    RefundExample(
        "free-shipping-is-not-refunded",
        "6490 + 490 - 490 = 6490",
        6490,
        (discount("FREE", -490), shipping("post", 490), included("DE", 1036)),
        6490,
        (Step(6980, exceeds(6490)), Step(6490, 6490)),
        6490,
    ),
    RefundExample(
        "halves-in-yen",
        "1980 + 800 = 2780; 2780 / 2 = 1390",
        1980,
        (shipping("post", 800), included("JP", 253)),
        2780,
        (Step(1390, 1390), Step(1391, exceeds(1390)), Step(1390, 1390)),
        2780,
    ),
    RefundExample(
        "thirds-in-fils",
        "12500 + 1500 = 14000; 14000 / 3 = 4666.67 -> 4667; 14000 - 4667 - 4667 = 4666",
        12500,
        (shipping("post", 1500), included("KW", 666)),
        14000,
        (Step(4667, 4667), Step(4667, 4667), Step(4667, exceeds(4666)), Step(None, 4666)),
        14000,
    ),
    RefundExample(
        "the-units-return-with-the-last-part",
        "2499 + 390 = 2889; 2889 - 100 = 2789",
        2499,
        (shipping("post", 390), included("DE", 62), included("DE/reduced", 163)),
        2889,
        (
            Step(100, ("restock_needs_full_refund", 2889), restock=True),
            Step(100, 100),
            Step(2788, ("restock_needs_full_refund", 2789), restock=True),
            Step(None, 2789, restock=True),
        ),
        2889,
    ),
    RefundExample(
        "a-part-leaves-the-order-paid",
        "15000 - 1000 + 1015 = 15015; without the tax 15015 - 1015 = 14000",
        15000,
        (discount("OFF", -1000), added("US-CA", 1015)),
        15015,
        (Step(1015, 1015), Step(14001, exceeds(14000))),
        1015,
        Status.PAID,
    ),
    RefundExample(
        "nothing-was-paid",
        "2000 - 2000 = 0",
        2000,
        (discount("OFF", -2000),),
        0,
        (Step(None, NOT_REFUNDABLE), Step(1, NOT_REFUNDABLE)),
        0,
        Status.PAID,
    ),
]


def make_order(example: RefundExample) -> Order:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    return Order(
        id=UUID(int=1),
        customer="ada",
        status=Status.PAID,
        reason=None,
        email=None,
        payment_method=None,
        shipping_address={},
        currency=None,
        items_amount=example.items_amount,
        amount_refunded=0,
        payment_id=None,
        payment_status=None,
        refusal=None,
        request_id="",
        traceparent="",
        created_at=now,
        updated_at=now,
        adjustments=tuple(
            Adjustment(kind, code, code, amount, is_included)
            for kind, code, amount, is_included in example.adjustments
        ),
        amount=example.paid,
    )


@pytest.mark.parametrize("example", REFUNDS, ids=lambda example: example.id)
def test_refunds_add_up_to_what_was_paid_and_never_exceed_it(example):
    order = make_order(example)
    parts = sum(each.amount for each in order.adjustments if not each.included)
    assert example.items_amount + parts == example.paid, "the example must add up"
    answers: list[int | tuple[str, int | None]] = []
    for number, step in enumerate(example.steps):
        try:
            amount = order.check_refund(step.wanted, restock=step.restock)
        except Problem as problem:
            answers.append((problem.code, problem.extra.get("refundable")))
            continue
        answers.append(amount)
        refund = Refund(UUID(int=number), order.id, amount, step.restock, "clerk")
        order = replace(
            order, amount_refunded=order.amount_refunded + amount, status=order.status_after(refund)
        )
    assert answers == [step.answer for step in example.steps], example.why
    assert (order.amount_refunded, order.status) == (example.refunded, example.status), example.why
