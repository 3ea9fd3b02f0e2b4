"""Secrets are redacted in records, and nothing else is."""

import io
import json
import logging
import re
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import otlp, redaction
from shared.ids import new_id
from shared.log import JsonFormatter, read_entry
from shared.redaction import LONGEST_TEXT, REDACTED, redact_attributes, redact_text

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
        "otp",
    ],
)
def test_an_attribute_with_a_secret_name_is_redacted(name):
    assert redact_attributes({name: "x"}) == {name: REDACTED}
    assert redact_attributes({"outer": [{name: ["x"]}]}) == {"outer": [{name: REDACTED}]}


@pytest.mark.parametrize(
    "name",
    [
        "order.id",
        "tokenizer",
        "secretary",
        "card.brand",
        "http.route",
        "key",
        "number",
        "user.id",
        "has_totp",
    ],
)
def test_an_attribute_with_another_name_keeps_its_value(name):
    assert redact_attributes({name: "x"}) == {name: "x"}


def test_a_secret_without_a_value_stays_none():
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
def test_a_card_number_is_redacted_and_its_surroundings_stay(card, text):
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
        "POST /auth/totp: 200, totp=on",
    ],
)
def test_text_without_card_numbers_and_secrets_stays(text):
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
        ("got whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw+/==.", f"got whsec_{REDACTED}"),
        ("client_secret: abc", f"client_secret: {REDACTED}"),
        ('{"otp": "492 039", "x": 1}', f'{{"otp": {REDACTED}, "x": 1}}'),
        ("postgresql://orders:hunter2@db/orders", f"postgresql://orders:{REDACTED}@db/orders"),
    ],
)
def test_a_secret_in_text_is_redacted(text, expected):
    assert redact_text(text) == expected


def passes_luhn(digits: str) -> bool:
    """Return whether the check digit is right, by the description in ISO/IEC 7812-1, annex B."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


@given(st.integers(min_value=10**11, max_value=10**18 - 1), st.sampled_from(["", "7 ", "12-", "123 45 "]))
def test_the_check_digit_is_the_one_that_makes_a_number_pass(number, before):
    for digit in range(10):
        text = f"{number}{digit}"
        expected = REDACTED if passes_luhn(text) else text
        assert redact_text(text) == expected
        # Digits before it may make it too long for a card, or form another card number.
        found = redact_text(f"{before}{text}")
        assert (REDACTED in found) == any(
            passes_luhn(candidate) and len(candidate) <= 19
            for candidate in (re.sub("[ -]", "", f"{before}{text}"[start:]) for start in starts_of(before))
        )


def starts_of(before: str) -> list[int]:
    """Return the positions where a number may begin: at each group of digits."""
    return [match.start() for match in re.finditer("[0-9]+", before + "0")]


@given(st.lists(st.sampled_from(["4", "42", "4242", "4242424242424242", "a", "-", " ", "/"]), max_size=30))
def test_every_card_number_between_other_words_is_redacted(pieces):
    text = f"{''.join(pieces)}/4242 4242 4242 4242/{''.join(pieces)}"
    assert "4242 4242 4242 4242" not in redact_text(text)


@given(st.uuids(), st.uuids())
def test_ids_are_never_redacted_as_cards(one, other):
    for text in (f"{one} {other}", one.hex, f"order {new_id()}", f"{other.hex}/{one}"):
        assert redact_text(text) == text


@given(st.text())
def test_any_text_can_be_redacted_and_redacting_twice_changes_nothing(text):
    assert redact_text(redact_text(text)) == redact_text(text)


# The worst cases of each expression: it begins often, matches for long, and fails.
PIECES = [
    *("1", "1-", "1 ", "4242 ", "4242424242424242 ", "12345678-1234-", "1234-abcd-", "1234-1234a "),
    *("1 1 1 1 1 1 1 1 1 1 1 1 1a ", "eyJ", "/eyJ", "eyJaaaaaaaa.", "eyJaaaaaaaa./", "sfr_", "sfr_aaaa "),
    *("://", "://a:", "://a:b@", "@", ":", "bearer ", "bearer\t\n", "cookie", "cookie:", "cookie \n"),
    *("token", "token ", "token:", "token: bearer ", 'token="', "secret='\\", '"', "passw", "A", "aA"),
    *(" ", "\n"),
]
ENDS = ["", "1a"]
# Seconds for 64 KiB that are fast enough in any case: a quadratic expression would have a nanosecond for two
# characters.
SOON = 0.05


def cost(work: Callable[[str], object], text: str) -> float:
    """Return the processor time of a call."""
    began = time.thread_time()
    work(text)
    return time.thread_time() - began


def find_worse_than_linear(work: Callable[[str], object]) -> list[tuple[str, str, float, float]]:
    """Return the texts for which eight times the length takes more than sixteen times as long."""
    worse = []
    for piece in PIECES:
        for end in ENDS:
            short, long = (piece * (size // len(piece)) + end for size in (4 * 1024, 32 * 1024))
            if cost(work, long) < SOON:
                continue
            # The minimum of three, since another process may have evicted the processor's cache.
            least, most = (min(cost(work, text) for _ in range(3)) for text in (short, long))
            if most > 16 * least:
                worse.append((piece, end, least, most))
    return worse


def test_every_expression_takes_linear_time():
    expressions = {name: value for name, value in vars(redaction).items() if isinstance(value, re.Pattern)}
    assert len(expressions) >= 8
    worse = {}
    for name, expression in expressions.items():
        found = find_worse_than_linear(lambda text, expression=expression: expression.sub("", text))
        if found:
            worse[name] = found
    assert worse == {}


def test_redacting_takes_linear_time():
    # With a hint, so that every expression is tried.
    assert find_worse_than_linear(lambda text: redact_text(f"token {text}")) == []


def test_a_text_that_is_too_long_for_a_record_is_truncated_before_it_is_searched():
    assert redact_text("1-" * LONGEST_TEXT) == redact_text("1-" * (LONGEST_TEXT // 2))
    assert redact_text("x" * LONGEST_TEXT) == "x" * LONGEST_TEXT


def test_standard_output_and_shipped_records_are_both_redacted():
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
    written = json.loads(stream.getvalue())
    assert written["message"] == f"Paid with {REDACTED}"
    assert written["attributes"]["refresh_token"] == REDACTED
    assert "ValueError: password=" in written["attributes"]["exception"]
    for text in (stream.getvalue(), shipped):
        for secret in ("a-secret-value", "hunter2", *CARDS[:3]):
            assert secret not in text.replace('raise ValueError(f\\"password=', "")
