"""Nothing secret reaches a record, and nothing else is taken out of it."""

import io
import json
import logging
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import otlp
from shared.ids import new_id
from shared.log import JsonFormatter, read_entry
from shared.redaction import REDACTED, passes_luhn, redact_attributes, redact_text

CARDS = ["4242424242424242", "4000 0566 5566 5556", "3782-822463-10005", "6011111111111117", "4222222222222"]
TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "http.request.header.authorization",
        "http.request.header.set-cookie",
        "Cookie",
        "password",
        "newPassword",
        "refresh_token",
        "accessToken",
        "STRIPE_SECRET_KEY",
        "client-secret",
        "api_key",
        "card.number",
        "cvv",
    ],
)
def test_an_attribute_whose_name_is_secret_has_no_value(name):
    assert redact_attributes({name: "x"}) == {name: REDACTED}
    assert redact_attributes({"outer": [{name: ["x"]}]}) == {"outer": [{name: REDACTED}]}


@pytest.mark.parametrize(
    "name", ["order.id", "tokenizer", "secretary", "card.brand", "http.route", "key", "number", "user.id"]
)
def test_an_attribute_with_another_name_keeps_its_value(name):
    assert redact_attributes({name: "x"}) == {name: "x"}


def test_what_has_no_value_stays_so():
    assert redact_attributes({"password": None, "count": 5, "share": 0.5, "yes": True}) == {
        "password": None,
        "count": 5,
        "share": 0.5,
        "yes": True,
    }


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize(
    "text", ["{}", "card={}", "Order 12 paid with {} in 2026", "({})", "{}, {}", "pan:{}.", "x{}"]
)
def test_a_cards_number_is_taken_out_and_its_neighbours_stay(card, text):
    assert redact_text(text.replace("{}", card)) == text.replace("{}", REDACTED)


@pytest.mark.parametrize(
    "text",
    [
        "4242424242424241",  # Its check digit is wrong.
        "424242424242",  # Too short.
        "42424242424242424242424242",  # Too long.
        "0190a4b0-4242-7424-8242-424242424242",
        "00000000000000000000000000000000",
        "4242424242424242ab",  # A part of an id in hexadecimal digits.
        "2026-11-22T21:42:14.123456+00:00",
        "GET /products/<int:product_id> 200",
        "Authorization token is missing",
        "The token of 3 users: none",
        "mail to ada@example.com",
    ],
)
def test_what_is_neither_a_card_nor_a_secret_stays(text):
    assert redact_text(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"sent {TOKEN} on", f"sent {REDACTED} on"),
        (f"Authorization: Bearer {TOKEN}", f"Authorization: {REDACTED}"),
        ("'Authorization': 'Basic dXNlcjpwYXNz'", f"'Authorization': {REDACTED}"),
        ("authorization: basic dXNlcjpwYXNz", f"authorization: {REDACTED}"),
        ("Cookie: token=abc; refresh=def\nAccept: x", f"Cookie: {REDACTED}\nAccept: x"),
        ("Set-Cookie: token=abc; Path=/", f"Set-Cookie: {REDACTED}"),
        ('{"password": "a \\" b", "x": 1}', f'{{"password": {REDACTED}, "x": 1}}'),
        ("password=hunter2&user=me", f"password={REDACTED}&user=me"),
        ("refresh_token=sfr_abc, next", f"refresh_token={REDACTED}, next"),
        ("got sfr_0123456789abcdefghij", f"got sfr_{REDACTED}"),
        ("got sfc_0123456789abcdefghij", f"got sfc_{REDACTED}"),
        ("client_secret: abc", f"client_secret: {REDACTED}"),
        ("postgresql://orders:hunter2@db/orders", f"postgresql://orders:{REDACTED}@db/orders"),
    ],
)
def test_a_secret_in_a_text_is_taken_out(text, expected):
    assert redact_text(text) == expected


@given(st.integers(min_value=10**11, max_value=10**18 - 1))
def test_the_check_digit_is_the_one_that_makes_a_number_pass(number):
    passing = [digit for digit in range(10) if passes_luhn(f"{number}{digit}")]
    assert len(passing) == 1
    assert redact_text(f"{number}{passing[0]}") == REDACTED
    assert redact_text(f"{number}{(passing[0] + 1) % 10}") == f"{number}{(passing[0] + 1) % 10}"


@given(st.uuids(), st.uuids())
def test_ids_are_never_taken_for_cards(one, other):
    for text in (f"{one} {other}", one.hex, f"order {new_id()}", f"{other.hex}/{one}"):
        assert redact_text(text) == text


@given(st.text())
def test_any_text_can_be_redacted_and_redacting_twice_changes_nothing(text):
    assert redact_text(redact_text(text)) == redact_text(text)


@pytest.mark.parametrize("piece", ["token", "12345", "eyJ", "cookie:", "://a:", "bearer ", '"secret":"'])
def test_a_long_text_takes_no_longer_than_its_length(piece):
    # If each place were looked at from each other one, it would be half a minute.
    began = time.thread_time()
    redact_text(piece * (200_000 // len(piece)))
    assert time.thread_time() - began < 10


def test_standard_output_and_what_is_shipped_are_both_without_secrets():
    record = logging.LogRecord("any", logging.ERROR, "f", 1, "Paid with %s", (CARDS[0],), None)
    record.refresh_token = "a-secret-value"
    record.detail = {"note": f"the card {CARDS[1]}"}
    try:
        raise ValueError(f"password=hunter2 and {CARDS[2]}")
    except ValueError as error:
        record.exc_info = (type(error), error, error.__traceback__)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter("orders-service", "one"))
    handler.emit(record)
    shipped = otlp.encode_record(record, read_entry(record)).decode("utf-8", "replace")
    line = json.loads(stream.getvalue())
    assert line["message"] == f"Paid with {REDACTED}"
    assert line["attributes"]["refresh_token"] == REDACTED
    assert "ValueError: password=" in line["attributes"]["exception"]
    for text in (stream.getvalue(), shipped):
        for secret in ("a-secret-value", "hunter2", *CARDS[:3]):
            assert secret not in text.replace('raise ValueError(f\\"password=', "")
