"""What an order costs: discounts, shipping and taxes of its items, in plain Python without I/O.

All amounts are integers in minor units of the shop's currency, and each rounding is half up. A
percentage is rounded once per line, and so is the tax of a line. `quote_order` prices the cart, a quote
and an order. The order stores the result, and nothing is computed again when it is read.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any
from uuid import UUID

from orders.errors import CouponNotUsable, ShippingMethodRequired, ShippingMethodUnavailable

WHOLE = 10_000  # Basis points.
PERCENT = 100


@dataclass(frozen=True)
class Item:
    """A quantity of a variant at its price; `product_id` is its product's number, `category` a path."""

    variant_id: int
    product_id: int
    quantity: int
    unit_amount: int
    tax_class: str | None = None
    weight_grams: int | None = None
    category: str = ""

    @property
    def amount(self) -> int:
        """Return the price without discounts."""
        return self.unit_amount * self.quantity

    @property
    def weight(self) -> int:
        """Return the weight in grams; what has no weight weighs nothing."""
        return (self.weight_grams or 0) * self.quantity


@dataclass(frozen=True)
class Destination:
    """Where an order goes; `region` is an ISO 3166-2 code or its part after the country."""

    country: str
    region: str | None = None
    postal_code: str | None = None

    @property
    def full_region(self) -> str | None:
        """Return the region's ISO 3166-2 code, such as US-CA."""
        if not self.region:
            return None
        region = self.region.strip().upper()
        return region if region.startswith(f"{self.country}-") else f"{self.country}-{region}"


@dataclass(frozen=True)
class PriceStep:
    """The price of a shipping method from this weight or amount of the items on."""

    price: int
    from_weight_grams: int | None = None
    from_amount: int | None = None


@dataclass(frozen=True)
class ShippingMethod:
    """A way to deliver, its price, and where and for what it is offered.

    Without `countries`, `regions` or `postal_codes`, it is offered for all of them. `price` is None if
    `prices` has a table. Postal codes are globs; one that begins with `!` excludes.
    """

    code: str
    title: str
    countries: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    postal_codes: tuple[str, ...] = ()
    price: int | None = None
    prices: tuple[PriceStep, ...] = ()
    free_from: int | None = None
    tax_class: str | None = None
    excluded_tax_classes: tuple[str, ...] = ()
    delivery_time: str | None = None
    position: int = 0
    active: bool = True

    def find_price(self, items: Iterable[Item], goods_amount: int, destination: Destination) -> int | None:
        """Return the price; None if the method is not offered for these items or this destination.

        `goods_amount` is the price of the items after discounts.
        """
        items = list(items)
        if not self.active or not self._delivers_to(destination):
            return None
        if any(item.tax_class in self.excluded_tax_classes for item in items):
            return None
        price = self.price if self.price is not None else self._look_up(items, goods_amount)
        if price is not None and self.free_from is not None and goods_amount >= self.free_from:
            return 0
        return price

    def _delivers_to(self, destination: Destination) -> bool:
        if self.countries and destination.country not in self.countries:
            return False
        if self.regions and destination.full_region not in self.regions:
            return False
        return _matches_postal_code(self.postal_codes, destination.postal_code)

    def _look_up(self, items: list[Item], goods_amount: int) -> int | None:
        weight = sum(item.weight for item in items)
        reached = [
            (start, step.price)
            for step in self.prices
            if (start := step.from_amount if step.from_weight_grams is None else step.from_weight_grams)
            is not None
            and start <= (goods_amount if step.from_weight_grams is None else weight)
        ]
        return max(reached)[1] if reached else None


@dataclass(frozen=True)
class TaxRate:
    """A rate in basis points (1900 is 19 %), for a country or a region, and for a tax class or all."""

    country: str
    title: str
    rate: int
    region: str | None = None
    tax_class: str | None = None

    @property
    def code(self) -> str:
        """Return what identifies the rate: `DE`, `US-CA` or `DE/reduced`."""
        return "/".join(part for part in (self.region or self.country, self.tax_class) if part)

    def find_tax(self, amount: int, *, included: bool) -> int:
        """Return the tax that is included in the amount, or that is added to it."""
        return _round_half_up(amount * self.rate, WHOLE + self.rate if included else WHOLE)


@dataclass(frozen=True)
class Coupon:
    """A discount by a code: `percent` or `amount` of the items, or free shipping.

    With `products` (numbers) or `categories` (paths), it applies to those items only. `minimum` is the
    price of all items before the discount. `uses` counts the orders that used it, of all customers.
    """

    code: str
    percent: int | None = None
    amount: int | None = None
    free_shipping: bool = False
    minimum: int | None = None
    products: tuple[int, ...] = ()
    categories: tuple[str, ...] = ()
    starts: datetime | None = None
    ends: datetime | None = None
    limit: int | None = None
    limit_per_customer: int | None = None
    first_order_only: bool = False
    active: bool = True
    uses: int = 0

    def check_use(self, now: datetime, *, customer_uses: int, has_ordered: bool) -> None:
        """Raise CouponNotUsable unless the customer may use the coupon now.

        `customer_uses` counts the customer's orders with it; `has_ordered` is whether there are any.
        """
        if not self.active or (self.ends is not None and now >= self.ends):
            raise CouponNotUsable("ended", self.code)
        if self.starts is not None and now < self.starts:
            raise CouponNotUsable("not_started", self.code, starts=self.starts.isoformat())
        if self.limit is not None and self.uses >= self.limit:
            raise CouponNotUsable("used_up", self.code)
        if self.limit_per_customer is not None and customer_uses >= self.limit_per_customer:
            raise CouponNotUsable("used_by_customer", self.code)
        if self.first_order_only and has_ordered:
            raise CouponNotUsable("first_order_only", self.code)

    def find_discounts(self, items: Sequence[Item]) -> list[int]:
        """Return the discount of each item; raise CouponNotUsable if the coupon applies to none."""
        if self.minimum is not None and sum(item.amount for item in items) < self.minimum:
            raise CouponNotUsable("below_minimum", self.code, minimum=self.minimum)
        amounts = [item.amount if self._applies_to(item) else 0 for item in items]
        if not any(self._applies_to(item) for item in items):
            raise CouponNotUsable("not_applicable", self.code)
        if self.percent is not None:
            return [_round_half_up(amount * self.percent, PERCENT) for amount in amounts]
        if self.amount is not None:
            return _share(min(self.amount, sum(amounts)), amounts)
        return [0] * len(items)

    def _applies_to(self, item: Item) -> bool:
        if not self.products and not self.categories:
            return True
        return item.product_id in self.products or any(
            item.category == path or item.category.startswith(f"{path}/") for path in self.categories
        )


@dataclass(frozen=True)
class Rules:
    """The shop's shipping methods and tax rates; each change of them has another `version`."""

    version: UUID | None = None
    methods: tuple[ShippingMethod, ...] = ()
    rates: tuple[TaxRate, ...] = ()
    prices_include_tax: bool = True

    @cached_property
    def _rates_by_place(self) -> Mapping[tuple[str, str | None, str | None], TaxRate]:
        return {(rate.country, rate.region, rate.tax_class): rate for rate in self.rates}

    def find_rate(self, destination: Destination | None, tax_class: str | None) -> TaxRate | None:
        """Return the rate of a class: one of the region before one of the country, one of the class first."""
        if destination is None or not self.rates:
            return None
        for region in dict.fromkeys((destination.full_region, None)):
            for known_class in dict.fromkeys((tax_class, None)):
                if found := self._rates_by_place.get((destination.country, region, known_class)):
                    return found
        return None

    def find_method(self, code: str) -> ShippingMethod | None:
        """Return the shipping method with this code."""
        return next((method for method in self.methods if method.code == code), None)


@dataclass(frozen=True)
class Adjustment:
    """A discount (negative), shipping, or a tax; an `included` tax is a part of the prices."""

    kind: str
    code: str
    title: str
    amount: int
    included: bool = False


@dataclass(frozen=True)
class LineTotals:
    """The parts of a line's price; `tax_rate` is in basis points, and None without a tax."""

    variant_id: int
    discount_amount: int = 0
    tax_rate: int | None = None
    tax_amount: int = 0


@dataclass(frozen=True)
class Totals:
    """What an order costs: `amount` is `items_amount` and all adjustments that are not included."""

    lines: tuple[LineTotals, ...]
    items_amount: int
    adjustments: tuple[Adjustment, ...]
    tax_amount: int
    amount: int

    def describe(self) -> dict[str, Any]:
        """Return the totals, without the lines, as JSON has them."""
        return {
            "items_amount": self.items_amount,
            "adjustments": [asdict(adjustment) for adjustment in self.adjustments],
            "tax_amount": self.tax_amount,
            "amount": self.amount,
        }


@dataclass(frozen=True)
class ShippingOption:
    """A shipping method that is offered, and its price after discounts."""

    code: str
    title: str
    amount: int
    delivery_time: str | None = None


@dataclass(frozen=True)
class Quote:
    """What an order would cost, and the shipping methods it could have; whether it must have one."""

    totals: Totals
    options: tuple[ShippingOption, ...] = ()
    needs_shipping: bool = False

    def describe(self) -> dict[str, Any]:
        """Return the quote, without the lines, as JSON has it."""
        return {**self.totals.describe(), "shipping_options": [asdict(option) for option in self.options]}


def price_order(
    items: Iterable[Item],
    coupon: Coupon | None,
    destination: Destination | None,
    method: ShippingMethod | None,
    rules: Rules,
) -> Totals:
    """Return what the items cost with this coupon, delivered to this destination by this method.

    Without a destination there are no taxes and no shipping. Raises CouponNotUsable, and
    ShippingMethodUnavailable if the method is not offered for these items or this destination.
    """
    # The order of the items must not matter, also not for who gets the last cent of a discount.
    ordered = sorted(items, key=lambda item: item.variant_id)
    items_amount = sum(item.amount for item in ordered)
    discounts = coupon.find_discounts(ordered) if coupon else [0] * len(ordered)
    goods_amount = items_amount - sum(discounts)
    shipping = None
    if method is not None:
        shipping = method.find_price(ordered, goods_amount, destination) if destination else None
        if shipping is None:
            raise ShippingMethodUnavailable
    is_free = coupon is not None and coupon.free_shipping
    discount = sum(discounts) + (shipping or 0 if is_free else 0)
    taxes: dict[TaxRate, int] = {}
    lines = []
    for item, reduction in zip(ordered, discounts, strict=True):
        rate = rules.find_rate(destination, item.tax_class)
        tax = _add_tax(taxes, rate, item.amount - reduction, rules)
        lines.append(LineTotals(item.variant_id, reduction, rate.rate if rate else None, tax))
    if method is not None and shipping:
        _add_tax(taxes, rules.find_rate(destination, method.tax_class), 0 if is_free else shipping, rules)
    adjustments = []
    if coupon:
        adjustments.append(Adjustment("discount", coupon.code, coupon.code, -discount))
    if method is not None:
        adjustments.append(Adjustment("shipping", method.code, method.title, shipping or 0))
    included = rules.prices_include_tax
    adjustments += [
        Adjustment("tax", rate.code, rate.title, tax, included=included)
        for rate, tax in sorted(taxes.items(), key=lambda pair: (-pair[0].rate, pair[0].code))
    ]
    return Totals(
        lines=tuple(lines),
        items_amount=items_amount,
        adjustments=tuple(adjustments),
        tax_amount=sum(taxes.values()),
        amount=items_amount + sum(each.amount for each in adjustments if not each.included),
    )


def list_shipping_options(
    items: Iterable[Item], coupon: Coupon | None, destination: Destination | None, rules: Rules
) -> tuple[ShippingOption, ...]:
    """Return the shipping methods that are offered, by position and then by price."""
    if destination is None:
        return ()
    items = list(items)
    discounts = coupon.find_discounts(items) if coupon else []
    goods_amount = sum(item.amount for item in items) - sum(discounts)
    is_free = coupon is not None and coupon.free_shipping
    offered = []
    for method in rules.methods:
        price = method.find_price(items, goods_amount, destination)
        if price is not None:
            amount = 0 if is_free else price
            option = ShippingOption(method.code, method.title, amount, method.delivery_time)
            offered.append((method.position, amount, method.code, option))
    return tuple(option for *_, option in sorted(offered, key=lambda each: each[:3]))


def quote_order(
    items: Sequence[Item],
    coupon: Coupon | None,
    destination: Destination | None,
    method_code: str | None,
    rules: Rules,
    *,
    is_order: bool = False,
) -> Quote:
    """Return what an order costs, with the shipping methods that it could have.

    Raises CouponNotUsable, ShippingMethodUnavailable if the method does not exist or is not offered, and
    for an order without a method ShippingMethodRequired if the shop has any. The last two have the quote
    without a method.
    """
    options = list_shipping_options(items, coupon, destination, rules)
    is_offered = method_code is not None and any(option.code == method_code for option in options)
    method = rules.find_method(method_code) if method_code is not None and is_offered else None
    needs_shipping = any(each.active for each in rules.methods)
    quote = Quote(price_order(items, coupon, destination, method, rules), options, needs_shipping)
    if method_code is not None and method is None:
        raise ShippingMethodUnavailable(**quote.describe())
    if is_order and method is None and needs_shipping:
        raise ShippingMethodRequired(**quote.describe())
    return quote


def _add_tax(taxes: dict[TaxRate, int], rate: TaxRate | None, amount: int, rules: Rules) -> int:
    """Add the tax of an amount to the taxes by rate, and return it."""
    if rate is None or not amount:
        return 0
    tax = rate.find_tax(amount, included=rules.prices_include_tax)
    taxes[rate] = taxes.get(rate, 0) + tax
    return tax


def _share(total: int, amounts: Sequence[int]) -> list[int]:
    """Return the total in proportion to the amounts, by largest remainder; the first one wins a tie."""
    whole = sum(amounts)
    if not whole:
        return [0] * len(amounts)
    shares = [total * amount // whole for amount in amounts]
    by_remainder = sorted(range(len(amounts)), key=lambda place: -(total * amounts[place] % whole))
    for place in by_remainder[: total - sum(shares)]:
        shares[place] += 1
    return shares


def _round_half_up(numerator: int, denominator: int) -> int:
    """Return the fraction of two non-negative integers, rounded half up."""
    return (2 * numerator + denominator) // (2 * denominator)


def _matches_postal_code(patterns: Sequence[str], postal_code: str | None) -> bool:
    if not patterns:
        return True
    code = _normalize(postal_code or "").replace("-", "")
    wanted = [pattern for pattern in patterns if not pattern.startswith("!")]
    excluded = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    if any(fnmatchcase(code, _normalize_pattern(pattern)) for pattern in excluded):
        return False
    return not wanted or any(fnmatchcase(code, _normalize_pattern(pattern)) for pattern in wanted)


def _normalize(postal_code: str) -> str:
    """Return a postal code as it is compared: `sw1a 1aa` is `SW1A1AA`, and full-width digits are digits."""
    return "".join(unicodedata.normalize("NFKC", postal_code).split()).upper()


def _normalize_pattern(pattern: str) -> str:
    """Return a pattern as it is compared; a hyphen counts only in a range, such as `[0-3]`."""
    parts = re.split(r"(\[[^\]]*\])", _normalize(pattern))
    return "".join(part if part.startswith("[") else part.replace("-", "") for part in parts)
