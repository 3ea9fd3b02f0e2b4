"""The gateway's cache of product pages: its entries, who may read them, and their lifetime."""

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from catalog.schemas.products import ProductQuery
from tests.gateway.harness import GATEWAY, Answer, Gateway, Seen, Upstream, run_gateway, run_services
from tests.waiting import wait_for

pytestmark = pytest.mark.shop

GOOD = {"Authorization": "Bearer good"}
TAG = 'W/"first"'


@dataclass
class Shelf:
    """A catalog-service whose responses are cacheable and which gives verdicts, as does auth-service."""

    gateway: Gateway
    upstreams: dict[str, Upstream]
    keeps: dict[str, str] = field(
        default_factory=lambda: {
            "X-Accel-Expires": "60",
            "Cache-Control": "private, no-cache",
            "ETag": TAG,
        }
    )
    verdict_keeps: dict[str, str] = field(default_factory=lambda: {"X-Accel-Expires": "60"})
    good: set[str] = field(default_factory=lambda: {"Bearer good", "token=good"})
    status: int = 200
    verdict_status: int | None = None
    text: str = "one"

    def __post_init__(self) -> None:
        self.upstreams["catalog"].script = self.upstreams["auth"].script = self.answer

    def answer(self, seen: Seen) -> tuple[int, dict[str, str], str] | None:
        """Answer as the services do."""
        shown = seen.headers.get("authorization") or seen.headers.get("cookie", "")
        is_good = bool({shown, *shown.split("; ")} & self.good)
        if seen.path == "/verdict":
            status = self.verdict_status or (204 if is_good else 401)
            return status, self.verdict_keeps if status == 204 else {}, "{}"
        if not is_good:
            return 401, {"Cache-Control": "no-store"}, '{"code":"token_invalid"}'
        if seen.method in {"GET", "HEAD"}:
            return self.status, self.keeps if self.status < 400 else {}, self.text
        return None

    def asked(self, path: str = "/products", service: str = "catalog") -> int:
        """Return the number of requests for a path, with any arguments, that reached a service."""
        return sum(seen.path.partition("?")[0] == path for seen in self.upstreams[service].seen)

    def get(self, path: str = "/products", **headers: str) -> Answer:
        """Send a request with the good token, unless `headers` are given."""
        return self.gateway.call(path, headers=headers or GOOD)


@pytest.fixture
def shelf(nginx: str, tmp_path: Path) -> Iterator[Shelf]:
    """Return a separate gateway with an empty cache."""
    with run_services() as upstreams:
        servers = {name: upstream.address for name, upstream in upstreams.items()}
        with run_gateway(nginx, tmp_path / "a gateway", servers) as gateway:
            yield Shelf(gateway, upstreams)


def test_a_repeated_query_is_answered_from_the_cache(shelf: Shelf) -> None:
    first = shelf.get("/products?limit=30")
    for _ in range(5):
        again = shelf.get("/products?limit=30")
        assert (again.status, again.body) == (200, first.body)
        assert again.headers["x-cache"] == "HIT"
        assert again.headers["etag"] == TAG
        assert again.headers["x-request-id"] not in {first.headers["x-request-id"], "the-services-own"}
    assert first.headers["x-cache"] == "MISS"
    assert (shelf.asked(), shelf.asked("/verdict")) == (1, 1)


def test_products_are_cached_separately(shelf: Shelf) -> None:
    paths = ["/products/7", "/products/8", "/products/by-slug/board", "/products/by-slug/board-2"]
    for path in [*paths, *paths]:
        shelf.get(path)
    assert [shelf.asked(path) for path in paths] == [1] * 4


def test_head_and_get_share_a_cache_entry(shelf: Shelf) -> None:
    head = shelf.gateway.call("/products", "HEAD", GOOD)
    assert (head.status, head.body) == (200, b"")
    assert shelf.get().body == b"one"
    assert shelf.asked() == 1


def test_a_conditional_request_gets_a_304_from_the_cache_compressed_or_not(shelf: Shelf) -> None:
    shelf.text = "x" * 5000
    shelf.get()
    for encoding in ("identity", "gzip"):
        answer = shelf.get(**GOOD, **{"If-None-Match": TAG, "Accept-Encoding": encoding})
        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", TAG)
        full = shelf.get(**GOOD, **{"If-None-Match": 'W/"other"', "Accept-Encoding": encoding})
        assert (full.status, full.headers["etag"]) == (200, TAG)
    # One request for each encoding.
    assert shelf.asked() == 2


ENCODINGS = {
    **dict.fromkeys(
        ["gzip", "gzip, deflate, br", "br;q=1.0, GZIP;q=0.5", "deflate,gzip;q=1", "*, gzip"], "gzip"
    ),
    **dict.fromkeys(["", "identity", "br", "gzip;q=0", "br, gzip ; q=0.000", "gzipped", "x-gzip2"], "none"),
}


def test_the_compressed_and_the_plain_response_are_cached_separately(shelf: Shelf) -> None:
    shelf.keeps["Vary"] = "Accept-Encoding"
    plain, script = shelf.text, shelf.answer

    def answer(seen: Seen) -> tuple[int, dict[str, str], str] | None:
        found = script(seen)
        if found and seen.path != "/verdict" and seen.headers.get("accept-encoding") == "gzip":
            return found[0], {**found[1], "Content-Encoding": "gzip"}, "compressed"
        return found

    shelf.upstreams["catalog"].script = answer
    wrong = []
    for sent, expected in ENCODINGS.items():
        got = shelf.get(**GOOD, **{"Accept-Encoding": sent})
        found = (got.headers.get("content-encoding", "none"), got.body, got.headers["vary"])
        body = b"compressed" if expected == "gzip" else plain.encode()
        if found != (expected, body, "Accept-Encoding"):
            wrong.append((sent, found))
    assert wrong == []
    assert shelf.asked() == 2
    asked = {seen.headers.get("accept-encoding") for seen in shelf.upstreams["catalog"].seen}
    assert asked == {"gzip", None}
    tagged = {**GOOD, "Accept-Encoding": "gzip", "If-None-Match": TAG}
    assert shelf.get(**tagged).status == 304


def test_a_cache_hit_is_a_short_line_and_everything_else_a_record(shelf: Shelf) -> None:
    shelf.get(**GOOD, **{"X-Request-ID": "hit-1"})
    for number in (2, 3):
        shelf.get(**GOOD, **{"X-Request-ID": f"hit-{number}"})
    shelf.get(**GOOD, **{"X-Request-ID": "hit-4", "If-None-Match": TAG})
    shelf.gateway.call("/products", headers={"X-Request-ID": "hit-5"})
    wait_for(lambda: shelf.gateway.kept("hit-5"))
    # nginx has two workers, each of which writes its own lines, so that their order may differ.
    lines = [line for file in shelf.gateway.records.iterdir() for line in file.read_text().splitlines()]
    found = sorted(re.sub("[0-9]+$", "N", line) for line in lines if line[0] != "{")
    assert found == ["GET 200 N", "GET 200 N", "GET 304 N"]
    recorded = {name: len(shelf.gateway.kept(name)) for name in (f"hit-{number}" for number in range(1, 6))}
    assert recorded == {"hit-1": 1, "hit-2": 0, "hit-3": 0, "hit-4": 0, "hit-5": 1}


def test_the_order_of_the_arguments_does_not_matter(shelf: Shelf) -> None:
    shelf.get("/products?limit=5&sort=price&q=a")
    others = ["sort=price&limit=5&q=a", "q=a&sort=price&limit=5", "limit=5&q=a&sort=price"]
    found = {other: shelf.get(f"/products?{other}").headers["x-cache"] for other in others}
    assert found == dict.fromkeys(others, "HIT")


ODD_QUESTIONS = [
    *["limit=5&limit=6", "limit=6&q=a&limit=5", "category=a&category=b"],
    *["unknown=1", "limit=5&unknown=1", "Limit=5", "LIMIT=5", "%6cimit=5"],
    *["limit=", "limit", "&limit=5", "limit=5&", "limit=5&&q=a", "=5", "&", "?limit=5", "limit=5;q=a&x"],
    "q=" + "x" * 1001,
]


def test_unusual_queries_are_passed_to_the_service_and_not_cached(shelf: Shelf, tmp_path: Path) -> None:
    shelf.get("/products?limit=5")
    shelf.get("/products")
    before = shelf.asked()
    for query in ODD_QUESTIONS * 2:
        assert shelf.get(f"/products?{query}").headers["x-cache"] == "BYPASS", query
    assert shelf.asked() == before + 2 * len(ODD_QUESTIONS)
    kept = [file for file in (tmp_path / "a gateway/state/products").rglob("*") if file.is_file()]
    assert len(kept) == 2


def test_the_gateway_knows_every_argument_of_the_product_list() -> None:
    text = (GATEWAY / "snippets/hot-path.conf").read_text()
    [alternatives] = re.findall(r"\((limit\|[a-z_|]+)\)=", text)
    # The names of options and of metadata keys are the shop's own, so the gateway cannot know them.
    known = set(ProductQuery.model_json_schema()["properties"])
    assert set(ProductQuery.model_fields) - known == {"option", "meta"}
    assert set(alternatives.split("|")) == known
    assert set(re.findall(r"([a-z_]+)=\$arg_\1", text)) == known


def test_questions_with_names_of_the_shops_own_are_never_answered_from_the_cache(shelf: Shelf) -> None:
    for question in ("option.Size=M", "option.Size=L", "meta.fit=slim", "limit=5&option.Size=M"):
        for _ in range(2):
            assert shelf.get(f"/products?{question}").headers.get("x-cache") != "HIT", question


def test_different_queries_are_cached_separately(shelf: Shelf) -> None:
    questions = [
        *["limit=5", "limit=6", "q=limit%3D5", "q=a%26sort=price", "q=a&sort=price", "q=A", "q=a"],
        *["category=a", "brand=a", "min_price=1", "max_price=1", "in_stock=true", "facets=true"],
        *["cursor=a", "cursor=A", "cursor=limit%3D5"],
    ]
    for expected in ("MISS", "HIT"):
        found = {question: shelf.get(f"/products?{question}").headers["x-cache"] for question in questions}
        assert found == dict.fromkeys(questions, expected)


def test_other_paths_below_products_are_not_cached_even_if_the_service_allows_it(shelf: Shelf) -> None:
    paths = [
        "/products/sync",
        "/products/7/stock",
        "/products/7x",
        "/products/0",
        "/products/",
        "/products/7/",
    ]
    paths += ["/products/7?limit=5", "/products/7%0a", "/products/9999999999999999999"]
    # A path inside a token does not change the path of the request.
    shelf.good |= {"Bearer good /products"}
    for token in ("good", "good /products"):
        for path in paths * 2:
            answer = shelf.get(path, Authorization=f"Bearer {token}")
            assert answer.headers["x-cache"] == "BYPASS", path
    assert shelf.asked("/verdict") == 0


def test_a_write_is_passed_to_the_service_with_its_body(shelf: Shelf) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        for path in ("/products", "/products/7"):
            answer = shelf.gateway.call(path, method, GOOD, "a body").json
            assert (answer["method"], answer["path"], answer["body"]) == (method, path, "a body")
    assert shelf.asked("/verdict") == 0


def test_a_read_with_a_body_is_passed_to_the_service(shelf: Shelf) -> None:
    for _ in range(2):
        shelf.gateway.call("/products", "GET", GOOD, "a body")
    assert (shelf.asked(), shelf.asked("/verdict")) == (2, 0)


REFUSED = [
    {"Accept": "*/*"},
    {"Cookie": "theme=dark"},
    {"Authorization": "Bearer bad"},
    {"Cookie": "token=bad"},
    {"Authorization": "Bearer bad", "Cookie": "token=good"},
    {"Cookie": "token=bad; token=good"},
    {"Cookie": "Token=good"},
    {"Cookie": '  token = "good"'},
    {"Cookie": "__Host-token=good"},
    {"Authorization": "Bearer bad /products", "Cookie": "token=good"},
    {"Cookie": "csrftoken=good"},
    {"Cookie": "my__Host-token=good"},
    {"Authorization": "Basic " + "x" * 5000},
]


def test_a_client_without_a_good_token_gets_the_service_s_own_error_each_time(shelf: Shelf) -> None:
    shelf.get()
    shelf.get(Cookie="token=good")
    wrong = []
    for headers in REFUSED * 2:
        answer = shelf.get(**headers)
        found = (answer.status, answer.json, answer.headers.get("x-cache", "BYPASS"))
        if found != (401, {"code": "token_invalid"}, "BYPASS"):
            wrong.append((headers, found))
    assert wrong == []
    assert shelf.asked() == 1 + 2 * len(REFUSED)


def test_a_token_in_the_cookie_works_like_one_in_the_header(shelf: Shelf) -> None:
    cookies = [
        *["token=good1", "a=1; token=good2", "token=good3; z=2", "csrftoken=x; token=good4;"],
        *["  token\t= good5 ; a", "token=good6; token=bad", "__Host-token=bad; token=good7"],
    ]
    shelf.good |= {f"token=good{number}" for number in range(1, 8)}
    shelf.get()
    for _ in range(2):
        found = {cookie: shelf.get(Cookie=cookie).headers["x-cache"] for cookie in cookies}
        assert found == dict.fromkeys(cookies, "HIT")
    assert shelf.asked("/verdict") == 1 + len(cookies)


def test_in_production_the_cookie_has_its_prefix(nginx: str, tmp_path: Path) -> None:
    with run_services() as upstreams:
        servers = {name: upstream.address for name, upstream in upstreams.items()}
        with run_gateway(nginx, tmp_path / "gateway", servers, SHOPFLEET_ENV="production") as gateway:
            shelf = Shelf(gateway, upstreams)
            shelf.good |= {"__Host-token=good"}
            assert shelf.get(Cookie="token=good").status == 401
            assert shelf.get(Cookie="token=bad; __Host-token=good").status == 200
            assert shelf.get(Cookie="__Host-token=good").headers["x-cache"] == "HIT"


def test_the_cookie_counts_if_the_header_has_no_bearer_token(shelf: Shelf) -> None:
    shelf.get(Cookie="token=good")
    for header in ("", "Bearer", "Basic YWRtaW46YWRtaW4=", "Token good"):
        answer = shelf.get(Authorization=header, Cookie="token=good")
        assert (answer.status, answer.headers["x-cache"]) == (200, "HIT"), header
    # A token that is too long for the gateway still counts.
    assert shelf.get(Authorization="Bearer " + "x" * 5000, Cookie="token=good").status == 401
    assert shelf.asked("/verdict") == 1


def test_a_good_token_elsewhere_in_the_request_does_not_admit_a_bad_one(shelf: Shelf) -> None:
    shelf.get()
    both = [
        {"Cookie": "token =good; token=bad"},
        {"Cookie": 'a="; token=bad"; token=good'},
        {"Cookie": "token=good; token=bad"},
        {"Authorization": "\tBearer good", "Cookie": "token=bad"},
        {"Authorization": "Bearer \xa0", "Cookie": "token=good"},
    ]
    bad = [{"Cookie": "token=bad"}, {"Authorization": "Bearer bad"}, {"Authorization": "Bearer \xa0"}]
    found = []
    for headers in both:
        shelf.get(**headers)
        found += [(headers, each) for each in bad if shelf.get(**each).status != 401]
    assert found == []


def test_every_credential_has_its_own_verdict_to_the_last_character(shelf: Shelf) -> None:
    long = "Bearer " + "x" * 4090
    shelf.good |= {long + "1", "bearer good"}
    assert [shelf.get(Authorization=long + end).status for end in "1213"] == [200, 401, 200, 401]
    assert shelf.get(Authorization="bearer good").status == 200
    assert shelf.asked("/verdict") == 4


def test_a_refused_token_is_admitted_as_soon_as_it_is_good(shelf: Shelf) -> None:
    assert shelf.get(Authorization="Bearer new").status == 401
    shelf.good |= {"Bearer new"}
    assert shelf.get(Authorization="Bearer new").status == 200


def test_a_verdict_is_refreshed_in_the_background(shelf: Shelf) -> None:
    shelf.verdict_keeps = {"X-Accel-Expires": "@1", "Cache-Control": "stale-while-revalidate=9999999999"}
    shelf.get()
    answer = shelf.get()
    assert answer.headers["x-cache"] == "HIT"
    wait_for(lambda: shelf.asked("/verdict") == 2)
    shelf.good.clear()
    wait_for(lambda: shelf.get().headers["x-cache"] == "HIT" and shelf.asked("/verdict") > 3)


def test_an_ended_token_is_refused_once_its_verdict_expires(shelf: Shelf) -> None:
    shelf.verdict_keeps = {"X-Accel-Expires": "1"}
    assert shelf.get().status == 200
    shelf.good.clear()
    wait_for(lambda: shelf.get().status == 401, seconds=20)
    assert [shelf.get().status for _ in range(3)] == [401] * 3


def test_an_unexpected_verdict_bypasses_the_cache_and_is_never_an_error(shelf: Shelf) -> None:
    shelf.get()
    shelf.good |= {"Bearer other"}
    for status in [200, 301, 400, 401, 403, 404, 418, 422, 429, 500, 502, 503, 504, 511] * 2:
        shelf.verdict_status = status
        answer = shelf.get(Authorization="Bearer other")
        assert (answer.status, answer.body, answer.headers["x-cache"]) == (200, b"one", "BYPASS")


def test_a_service_s_error_is_not_cached(shelf: Shelf) -> None:
    for status in (400, 404, 422, 429, 500, 503):
        shelf.status = status
        assert shelf.get().status == status
    shelf.status = 200
    assert shelf.get().status == 200


def test_a_response_that_sets_a_cookie_or_has_no_lifetime_is_not_cached(shelf: Shelf) -> None:
    for keeps in ({**shelf.keeps, "Set-Cookie": "a=b"}, {}, {"Cache-Control": "no-store"}):
        shelf.keeps = keeps
        shelf.get()
        assert shelf.get().headers["x-cache"] == "MISS"


def test_an_empty_list_is_cached_too(shelf: Shelf) -> None:
    shelf.status = 204
    assert shelf.get().status == 204
    assert (shelf.get().status, shelf.asked()) == (204, 1)


def test_concurrent_clients_with_the_same_query_cost_the_service_one_request(shelf: Shelf) -> None:
    together = threading.Barrier(12)

    def ask(_number: int) -> int:
        together.wait()
        return shelf.get().status

    with ThreadPoolExecutor(12) as pool:
        assert set(pool.map(ask, range(12))) == {200}
    assert (shelf.asked(), shelf.asked("/verdict")) == (1, 1)


def test_a_recently_expired_response_is_served_while_it_is_refreshed(shelf: Shelf) -> None:
    shelf.keeps = {
        "X-Accel-Expires": "@1",
        "Cache-Control": "private, no-cache, stale-while-revalidate=9999999999",
    }
    shelf.get()
    shelf.text = "two"
    answer = shelf.get()
    assert (answer.body, answer.headers["x-cache"]) == (b"one", "STALE")
    wait_for(lambda: shelf.asked() == 2)
    wait_for(lambda: shelf.get().body == b"two")


def test_an_older_response_is_not_served(shelf: Shelf) -> None:
    shelf.keeps = {"X-Accel-Expires": "@1", "Cache-Control": "private, no-cache, stale-while-revalidate=1"}
    shelf.get()
    shelf.text = "two"
    answer = shelf.get()
    assert (answer.body, answer.headers["x-cache"]) == (b"two", "EXPIRED")


def test_stale_pages_are_served_while_catalog_service_is_down_and_the_token_is_good(shelf: Shelf) -> None:
    shelf.keeps = {"X-Accel-Expires": "@1", "Cache-Control": "private, no-cache"}
    shelf.verdict_keeps = {}
    assert shelf.get().status == 200
    shelf.upstreams["catalog"].drops = True
    shelf.upstreams["catalog"].stop()
    answer = shelf.get()
    assert (answer.status, answer.body, answer.headers["x-cache"]) == (200, b"one", "STALE")
    assert shelf.get(Authorization="Bearer bad").status == 502
    assert shelf.get("/products?limit=7").status == 502
    assert shelf.asked("/verdict", "auth") >= 2


def test_stale_pages_are_served_while_catalog_service_fails(shelf: Shelf) -> None:
    shelf.keeps = {"X-Accel-Expires": "@1"}
    shelf.get()
    shelf.status = 503
    assert (shelf.get().status, shelf.get().body) == (200, b"one")


def test_the_cache_can_be_turned_off(nginx: str, tmp_path: Path) -> None:
    with run_services() as upstreams:
        servers = {name: upstream.address for name, upstream in upstreams.items()}
        with run_gateway(nginx, tmp_path / "gateway", servers, PRODUCT_CACHE="off") as gateway:
            shelf = Shelf(gateway, upstreams)
            assert [shelf.get().headers["x-cache"] for _ in range(2)] == ["BYPASS"] * 2
            assert (shelf.asked(), shelf.asked("/verdict")) == (2, 0)


def test_a_client_cannot_request_a_verdict(shelf: Shelf) -> None:
    for path in ("/verdict", "/no-verdict", "//verdict", "/products/../verdict", "/products/%2e%2e/verdict"):
        assert shelf.get(path).status == 404
    assert shelf.asked("/verdict") == 0


def test_only_the_gateway_can_read_its_cache(shelf: Shelf, tmp_path: Path) -> None:
    shelf.get()
    state = tmp_path / "a gateway/state"
    for folder in ("products", "verdicts"):
        assert (state / folder).stat().st_mode & 0o077 == 0
        assert [file.stat().st_mode & 0o077 for file in (state / folder).rglob("*") if file.is_file()] == [0]
