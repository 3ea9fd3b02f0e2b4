"""Currencies and amounts for people."""

from decimal import Decimal

DECIMALS = {"JPY": 0, "KWD": 3}  # Of currencies that do not have two.


def find_exponent(currency: str) -> int:
    """Return the number of decimals of a currency (ISO 4217)."""
    return DECIMALS.get(currency, 2)


def format_money(amount: int, currency: str) -> str:
    """Return an amount in minor units as text: 1,299.80 USD."""
    return f"{Decimal(amount).scaleb(-find_exponent(currency)):,f} {currency}"
