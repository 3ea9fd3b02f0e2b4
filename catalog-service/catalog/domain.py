"""Products and money as plain Python."""

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

# Ids are integers that JavaScript's numbers hold exactly.
LARGEST_ID = 2**53

# Currencies without a minor unit (ISO 4217); all the others that a shop may have count in hundredths.
WITHOUT_MINOR_UNIT = frozenset({"JPY"})


@dataclass(frozen=True)
class Offer:
    """A product as its source describes it. Money is in minor units."""

    id: int
    sku: str
    title: str
    brand: str | None
    category: str
    unit_amount: int
    description: str
    rating: Decimal | None
    on_hand: int
    images: list[str]


@dataclass(frozen=True)
class Product:
    """A product that is for sale; `stock` is what can be sold now."""

    id: int
    sku: str
    title: str
    brand: str | None
    category: str
    unit_amount: int
    description: str
    rating: Decimal | None
    stock: int
    images: list[str]
    version: int
    updated_at: datetime


@dataclass(frozen=True)
class SourceCopy:
    """How the copying stands: when it last succeeded, and what the source said if it failed since."""

    source: str | None
    copied_at: datetime | None
    failures: int
    error_status: int | None
    error_detail: str | None


def to_minor_units(price: Decimal, currency: str) -> int:
    """Return a price as an integer in the currency's minor units, half a unit rounded up."""
    return int(price.scaleb(_exponent(currency)).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def to_price(unit_amount: int, currency: str) -> Decimal:
    """Return minor units as the decimal price that the tutorial shows."""
    return Decimal(unit_amount).scaleb(-_exponent(currency))


def _exponent(currency: str) -> int:
    return 0 if currency in WITHOUT_MINOR_UNIT else 2
