"""Shipping methods, tax rates and coupons of a test."""

from typing import Any

from tests.orders.conftest import Buyer


def add_method(admin: Buyer, code: str = "standard", **terms: Any) -> dict[str, Any]:
    """Add a shipping method: 4.90 everywhere, unless `terms` differ."""
    price = {} if "prices" in terms else {"price": 490}
    answer = admin.call("POST", "/shipping-methods", json={"code": code, "title": code, **price, **terms})
    assert answer.status_code == 201, answer.text
    return answer.json


def add_rate(admin: Buyer, country: str = "US", rate: int = 1900, **terms: Any) -> dict[str, Any]:
    """Add a tax rate."""
    body = {"country": country, "rate": rate, "title": f"Tax {country}", **terms}
    answer = admin.call("POST", "/tax-rates", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json


def add_coupon(admin: Buyer, code: str = "TEN", **terms: Any) -> dict[str, Any]:
    """Add a coupon: 10 %, unless `terms` differ."""
    kind = {} if {"amount", "free_shipping"} & terms.keys() else {"percent": 10}
    answer = admin.call("POST", "/coupons", json={"code": code, **kind, **terms})
    assert answer.status_code == 201, answer.text
    return answer.json


def list_adjustments(body: dict[str, Any]) -> list[tuple[str, str, int]]:
    """Return the kind, code and amount of each adjustment of an order, a cart or a quote."""
    return [(each["kind"], each["code"], each["amount"]) for each in body["adjustments"]]
