"""Every query parameter with hostile values: each value is accepted or rejected by name."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, unquote

import pytest
from werkzeug.test import TestResponse

from shared.pages import decode_cursor, encode_cursor

# As written in a URL.
VALUES = [
    "",
    "%20",
    "%C2%A0",
    "%E2%80%8B",
    "%00",
    "a%00b",
    "%ED%A0%80",
    "%ED%B2%80x",
    "%FF%FE",
    "%C3",
    "%",
    "%zz",
    "%F0%9F%AB%96",
    "%EF%BF%BF",
    "e%CC%81" * 60,
    "a" * 100_000,
    "%EF%B7%BA" * 200,
    *[
        "0",
        "-0",
        "00",
        "1",
        "-1",
        "+1",
        "%2B1",
        "1.0",
        "1.5",
        "-1.5",
        ".5",
        "1.",
        "1e3",
        "1E3",
        "1e400",
        "1e-400",
    ],
    *["-1e30", "1E-99999999999999999999", "1E%2B99999999999999999999", "9" * 15, "9" * 40, "9" * 5000],
    *[
        "9007199254740992",
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
    ],
    *["1_000", "1,000", "0x10", "0b1", "1%0A", "%201", "1%20", "1;2", "1'", "1)"],
    *["%EF%BC%90", "%EF%BC%91%EF%BC%90", "%D9%A3", "%C2%B2", "%E2%85%A7", "%C2%BD"],
    *[
        "NaN",
        "nan",
        "Infinity",
        "-inf",
        "sNaN",
        "null",
        "None",
        "undefined",
        "true",
        "TRUE",
        "false",
        "yes",
        "on",
    ],
    *["[]", "{}", "[1]", "{%22a%22:1}", "%22%22", "id", "-id", "price", "--price", "-price%20", "PRICE"],
    *["2026", "2026-01-01", "2026-01-01T00:00:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00"],
    *["or", "-", "%22", "%5C", "-%22", "%27%27)--", "%26%7C!():*", "or%20or%20or", "%22" * 199, "-" * 200],
    *[
        "%3A*",
        "a%3A*",
        "%3C->",
        "a%20%3C->%20b",
        "()",
        "!" * 200,
        "%E2%84%A2",
        "%E2%80%9C%E2%80%9D",
        "%EF%BC%82",
    ],
    *[
        "W10",
        "Wzfd",
        "bnVsbA",
        "MQ",
        "InVz",
        "____",
        "W251bGxd",
        "e30",
        "WyJhIl0",
        "Wy",
        "W1tbW1tbW1tbW1tbW10",
    ],
    "W" * 499,
    "Ww" * 250,
    quote(encode_cursor("a")),
    quote(encode_cursor("\x7f" * 400)),
    quote(encode_cursor([])),
    quote(encode_cursor([None] * 5)),
]
# Values of a manipulated cursor.
POSITIONS: list[Any] = [
    *[None, True, False, "", "a", "\0", "x" * 1000, [], {}, [1], {"a": 1}],
    *[
        0,
        -1,
        1,
        2**53,
        2**53 + 1,
        2**63 - 1,
        2**63,
        10**40,
        1.5,
        -0.5,
        1e3,
        1e308,
        float("nan"),
        float("inf"),
    ],
    *["1", "NaN", "-1", "5", "1e9", "2026", "2026-01-01", "2026-01-01T00:00:00", "0001-01-01T00:00:00Z"],
    *["9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59+14:00", "1970-01-01T00:00:00+23:59", "\ufffe", "'"],
]
ORDERS = [
    *["", "sort=id", "sort=price", "sort=-price", "sort=title", "sort=rating", "sort=newest", "q=with"],
]
NEEDED = {"/internal/prices": ["ids"], "/products/sales": ["product_id"]}
LISTS = [*ORDERS, "q=with&sort=price", "category=kitchen", "brand=Tindlecroft&sort=title", "in_stock=true"]

Send = Callable[[str], TestResponse]


@pytest.fixture
def send(client, auth) -> Send:
    """Send a GET request: as orders-service to internal paths, else as an admin."""
    return lambda path: client.get(
        path,
        headers=auth.service_bearer("orders-service") if "/internal/" in path else auth.bearer(role="admin"),
    )


@pytest.fixture
def parameters(sample_app) -> Iterator[tuple[str, str]]:
    """Return the path and the name of every query parameter of the service."""
    found = [
        (rule.rule, name)
        for rule in sample_app.url_map.iter_rules()
        if "GET" in (rule.methods or ())
        for name in read_names(sample_app.view_functions[rule.endpoint])
    ]
    assert {path for path, _ in found} == {
        "/products",
        "/products/low-stock",
        "/products/sales",
        "/categories",
        "/internal/prices",
    }
    return found


def read_names(view: Any) -> list[str]:
    """Return the names of a view's query parameters."""
    schema = getattr(view, "_spec", {}).get("args", [])
    return [name for model, where, *_ in schema if where == "query" for name in model.model_fields]


def find_fault(answer: TestResponse, *names: str) -> Any:
    """Return what is wrong with a response to a value of one of these parameters, or None."""
    if answer.status_code in {200, 204}:
        return None
    if answer.status_code in {400, 422} and answer.content_type == "application/problem+json":
        fields = {error["field"].partition(".")[0] for error in answer.json.get("errors", [])}
        return None if fields and fields <= {*names} else (answer.status_code, answer.json)
    return answer.status_code, answer.data[:200]


def test_every_value_of_every_parameter_is_accepted_or_rejected_by_name(send, parameters):
    wrong = {}
    for place, (path, name) in enumerate(parameters):
        needed = "".join(f"&{each}=1" for each in NEEDED.get(path, []) if each != name)
        repeated = [f"{name}=1&{name}={value}" for value in ("1", "", "a", "%00")]
        # Each parameter gets a third of the values, and each value goes to a third of the parameters.
        values = VALUES[place % 3 :: 3]
        for query in [f"{name}={value}" for value in values] + repeated:
            if found := find_fault(send(f"{path}?{query}{needed}"), name):
                wrong[path, query[:80]] = found
    assert wrong == {}


def test_every_search_with_an_order_and_facets_is_accepted_or_rejected_by_name(send):
    wrong = {}
    for value in VALUES:
        if found := find_fault(send(f"/products?q={value}&sort=title&facets=true&limit=1"), "q"):
            wrong[value[:80]] = found
    assert wrong == {}


def test_any_unknown_parameter_is_rejected_by_name(send, parameters):
    wrong = {}
    for path in {path for path, _ in parameters}:
        needed = "".join(f"{each}=1&" for each in NEEDED.get(path, []))
        for name in ("skip", "a%00b", "%ED%A0%80", "", "q.0", "x" * 5000, "%EF%BC%91", "limit[]", "Q"):
            answer = send(f"{path}?{needed}{name}=1")
            if answer.status_code != 422 or len(answer.json["errors"]) != 1:
                wrong[path, name[:20]] = answer.status_code, answer.json
    assert wrong == {}


def test_a_cursor_of_another_list_or_a_truncated_cursor_is_rejected(send):
    cursors = {query: send(f"/products?limit=2&{query}").json["next"] for query in LISTS}
    category = send("/categories?limit=2").json["next"]
    wrong: dict[Any, Any] = {}
    for query, cursor in cursors.items():
        others = {other for name, other in cursors.items() if name != query and other != cursor}
        for other in {*others, category, *[cursor[:end] for end in range(1, len(cursor), 3)], cursor + "A"}:
            answer = send(f"/products?limit=2&{query}&cursor={quote(other)}")
            same = query in {"", "sort=id"} and other in {cursors[""], cursors["sort=id"]}
            if find_fault(answer, "cursor") or (answer.status_code != 422 and not same):
                wrong[query, other] = answer.status_code
    for other in cursors.values():
        if (answer := send(f"/categories?cursor={quote(other)}")).status_code != 422:
            wrong["/categories", other] = answer.status_code
    assert wrong == {}


def test_a_manipulated_cursor_is_accepted_or_rejected_by_name(send):
    wrong = {}
    for query in ORDERS:
        parts = decode_cursor(send(f"/products?limit=2&{query}").json["next"])
        for place in range(len(parts)):
            for value in POSITIONS:
                cursor = encode_cursor([*parts[:place], value, *parts[place + 1 :]])
                if found := find_fault(send(f"/products?limit=2&{query}&cursor={quote(cursor)}"), "cursor"):
                    wrong[query, place, repr(value)[:40]] = found
    for value in POSITIONS:
        if found := find_fault(send(f"/categories?cursor={quote(encode_cursor(value))}"), "cursor"):
            wrong["/categories", repr(value)[:40]] = found
    assert wrong == {}


def test_a_path_returns_the_product_with_its_id_or_an_error(send):
    wrong = {}
    for value in VALUES:
        answer = send(f"/products/{value}")
        if answer.status_code == 200 and answer.json["id"] != int(unquote(value)):
            wrong[value[:40]] = answer.json["id"]
        elif answer.status_code not in {200, 308, 400, 403, 404}:
            wrong[value[:40]] = answer.status_code
    assert wrong == {}
