"""Addresses: the required fields of each country, and blank texts."""

import json
import re
from typing import Any

import pytest

from orders.addresses import find_required_fields, is_country
from tests.orders.conftest import ADDRESS, run_sql
from tests.stacks import ROOT

COUNTRIES = ROOT / "gateway/storefront/assets/shop/countries.js"
NOT_IN_HONG_KONG = {"country": "HK", "city": None, "postal_code": None}
# Changes to a valid address, and the field that is then refused, or None.
CASES: list[tuple[dict[str, Any], str | None]] = [
    ({**NOT_IN_HONG_KONG, "region": "Kowloon"}, None),
    ({**NOT_IN_HONG_KONG, "region": " "}, "region"),
    ({"postal_code": None}, "postal_code"),
    ({"postal_code": " "}, "postal_code"),
    ({"region": ""}, "region"),
    ({"city": None}, "city"),
    ({"country": "DE", "region": ""}, None),
    ({"country": "DE", "postal_code": ""}, "postal_code"),
    ({"country": "IE", "region": None, "postal_code": None}, None),
    ({"country": "SG", "region": None, "city": None}, None),
    ({"country": "ZZ"}, "country"),
    ({"country": "UK"}, "country"),
    ({"country": "us"}, "country"),
    ({"country": "all"}, "country"),
    ({"country": "../us"}, "country"),
    ({"country": "XK", "region": None}, None),
    ({"name": ""}, "name"),
    ({"name": " \t "}, "name"),
    ({"name": "\u200b\u00a0\u2060"}, "name"),
    ({"name": "Ada\r\nBuyer"}, "name"),
    ({"name": "Ada\u2028Buyer"}, "name"),
    ({"line1": "1 Long\x00Lane"}, "line1"),
    ({"line1": "1 Long\x1bLane"}, "line1"),
    ({"city": "Spring\nfield"}, "city"),
    ({"line2": ""}, None),
    ({"line2": " "}, None),
    ({"line2": "x" * 201}, "line2"),
    ({"line2": " " + "x" * 200 + " "}, None),
    ({"line2": 5}, "line2"),
    ({"name": "  Zoë 👩‍🚀 Łukasz-O'Neill  "}, None),
]


def order(buyer, number, address, **others):
    return buyer.order(key=f"key {number}", shipping_address=address, **others)


def test_an_address_is_checked_by_the_rules_of_its_country(buyer):
    wrong = []
    for number, (changes, field) in enumerate(CASES):
        answer = order(buyer, number, {**ADDRESS, **changes})
        refused = [error["field"] for error in answer.json.get("errors", [])]
        expected = [] if field is None else [f"shipping_address.{field}"]
        if refused != expected or answer.status_code != (422 if field else 201):
            wrong.append((changes, answer.status_code, refused))
    assert wrong == []


def test_texts_are_trimmed_and_blank_ones_become_null(buyer):
    address = {**ADDRESS, "name": "  Ada Buyer ", "line2": " ", "country": "DE", "region": ""}
    shown = order(buyer, 1, address, email="").json
    kept = {"name": "Ada Buyer", "line2": None, "country": "DE", "region": None, "phone": None}
    assert shown["shipping_address"] == {**ADDRESS, **kept}
    assert shown["email"] is None


@pytest.mark.parametrize(
    ("email", "kept"), [(" ", None), (" ada@example.com ", "ada@example.com"), (None, None)]
)
def test_an_email_address_is_trimmed_and_a_blank_one_becomes_null(buyer, email, kept):
    assert order(buyer, 1, ADDRESS, email=email).json["email"] == kept


def test_an_email_address_with_a_line_break_is_refused(buyer):
    answer = order(buyer, 1, ADDRESS, email="ada@example.com\r\nBcc: b@example.com")
    assert [error["field"] for error in answer.json["errors"]] == ["email"]


def test_an_order_with_an_address_of_the_first_release_is_shown(buyer, database):
    location = buyer.order().headers["Location"]
    before = {"name": " ", "line1": "1 Long Lane", "city": "S", "postal_code": " ", "country": "ZZ"}
    run_sql(database, "UPDATE orders SET shipping_address = CAST(:old AS jsonb)", old=json.dumps(before))
    assert buyer.get(location).json["shipping_address"]["country"] == "ZZ"


def test_the_storefront_requires_the_same_fields_as_the_shop():
    script = COUNTRIES.read_text(encoding="utf-8")
    codes, needs = (
        script.split("const CODES =")[1].split(";")[0],
        script.split("const NEEDS = {")[1].split("};")[0],
    )
    listed = set(re.findall(r"\b[A-Z]{2}\b", codes))
    letters = [chr(code) for code in range(ord("A"), ord("Z") + 1)]
    assert listed == {one + other for one in letters for other in letters if is_country(one + other)}
    required = {code: {"city"} for code in listed}
    for names, group in re.findall(r'^  "?([a-z_ ]*)"?:\s+((?:[^:]+?)),$', needs, re.MULTILINE):
        required |= {code: set(names.split()) for code in re.findall(r"\b[A-Z]{2}\b", group)}
    expected = {code: find_required_fields(code) - {"name", "line1"} for code in listed}
    assert required == expected
