"""An attacker of the running shop: calls that broke it once, with a limit on their cost.

Each test sends, through the gateway, what any client or an integrator can send. A cost is compared with that
of a harmless call of the same size, so that a slow machine breaks no test. The memory limit is a container's.
"""

import gzip
import json
import secrets
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import jwt
import psutil
import psycopg
import pytest
import requests
from requests.adapters import HTTPAdapter

from tests.gateway.expressions import spell
from tests.gateway.meter import Meter, read_processor_seconds
from tests.stack.test_purchase import place
from tests.stacks import ROOT, SERVICES, ProcessStack, Shopper
from tests.waiting import wait_for

pytestmark = [pytest.mark.shop, pytest.mark.timeout(900), pytest.mark.xdist_group("attacked")]


CONTAINER_MIB = 256  # `mem_limit` of a service in docker-compose.yml.
LONG = 7900  # Headers and paths are limited to 8 KB.
AT_ONCE = 16  # Threads of a service.
ORDER_OF_CURVE = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # n of P-256 (SEC 2).
PASSWORD = "correct horse battery"
JSON = {"Content-Type": "application/json"}
EVIL = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}


def proven_by(*files: str) -> pytest.MarkDecorator:
    """Leave an attack to the long tier, because tests of a lower tier in these files prove the defence."""
    assert all((ROOT / file).is_file() for file in files)
    return pytest.mark.long


@pytest.fixture(scope="module")
def shop(attacked: ProcessStack) -> ProcessStack:
    """Return a separate shop with default limits, so that no other test suffers from an attack."""
    return attacked


@pytest.fixture
def stranger(shop: ProcessStack) -> Iterator[Shopper]:
    """Return a caller without a token."""
    with Shopper(shop.url) as stranger:
        yield stranger


@pytest.fixture
def guest(shop: ProcessStack) -> Iterator[Shopper]:
    """Return a new guest."""
    with Shopper(shop.url) as guest:
        assert guest.post("/auth/guest").status_code == 201
        yield guest


@pytest.fixture(scope="module")
def admin(shop: ProcessStack) -> Iterator[Shopper]:
    """Return the shop's admin, with the token in the header."""
    with Shopper(shop.url) as admin:
        admin.headers["Authorization"] = f"Bearer {admin.log_in()}"
        admin.cookies.clear()
        yield admin


@pytest.fixture(scope="module")
def integrator(shop: ProcessStack, admin: Shopper) -> Iterator[Shopper]:
    """Return an integrator that may write log records."""
    made = admin.post("/auth/clients", json={"name": "Collector", "scopes": ["logs:write"]})
    assert made.status_code == 201, made.text
    with Shopper(shop.url) as integrator:
        form = {"grant_type": "client_credentials"}
        answer = integrator.post(
            "/auth/token", data=form, auth=(made.json()["id"], made.json()["client_secret"])
        )
        integrator.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield integrator


class Watch:
    """Measure a service's processes during a block; all of them must survive it."""

    def __init__(self, shop: ProcessStack, service: str) -> None:
        leader = psutil.Process(shop.find_pid(service))
        self._service, self._processes = service, [leader, *leader.children(recursive=True)]

    def __enter__(self) -> Self:
        # A container counts shared pages once; the peaks of its processes count them each time.
        self._shared = 0
        for process in self._processes:
            used = process.memory_full_info()
            self._shared += used.rss - used.pss
            # proc_pid_clear_refs(5) resets the peak to the current use.
            Path(f"/proc/{process.pid}/clear_refs").write_text("5")
        self._before = self._read_seconds()
        return self

    def __exit__(self, *details: object) -> None:
        ended = [process.pid for process in self._processes if not process.is_running()]
        assert ended == [], f"A process of {self._service} has ended."
        self.seconds = self._read_seconds() - self._before
        self.peak_mib = sum(map(self._read_peak, self._processes)) / 1024 - self._shared / 1024**2

    def _read_seconds(self) -> float:
        return sum(map(read_processor_seconds, self._processes))

    def _read_peak(self, process: psutil.Process) -> int:
        status = Path(f"/proc/{process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


def measure(shop: ProcessStack, service: str, call: Callable[[], Any], times: int = 5) -> float:
    """Return the lowest processor time of a service over several equal calls."""
    costs = []
    for _ in range(times):
        with Watch(shop, service) as watch:
            call()
        costs.append(watch.seconds)
    return min(costs)


def read_records(admin: Shopper, **query: str) -> list[dict[str, Any]]:
    """Return the log records of a query, once there is any."""
    return wait_for(lambda: admin.get("/logs", params={**query, "limit": 100}).json()["data"])


def test_a_path_of_8_kb_costs_the_gateway_no_more_than_others(shop: ProcessStack) -> None:
    arguments = "".join(f"{spell(number)}=&" for number in range(LONG // 5))
    attacks = {
        "arguments of a product": f"/products/1?{arguments}",
        "arguments of a list": f"/products?{arguments}",
        "one argument": "/products/1?" + "a=&" * (LONG // 3),
        "beginnings of tokens": "/x/" + "eyJ" * (LONG // 3),
        "orders": "/orders/" + "0123abcd-" * (LONG // 9),
    }
    headers = {
        "cookies": {"Cookie": "token=a;" * (LONG // 8)},
        "blanks": {"Cookie": f"token ={' ' * (LONG - 20)}x y"},
        "encodings": {"Accept-Encoding": "gzip; " * (LONG // 6)},
        "credentials": {"Authorization": f"Bearer{' ' * (LONG - 20)}x"},
    }
    leader = shop.find_pid("gateway")
    assert leader
    with Meter(leader, shop.port) as meter:
        plain = meter.cost("/products/1?" + "-" * LONG, calls=50)
        costs = {name: min(meter.cost(path, calls=10) for _ in "abc") for name, path in attacks.items()}
        for name, sent in headers.items():
            costs[name] = min(meter.cost("/products", sent, calls=10) for _ in "abc")
    # Each expression scans the path or header once or twice.
    assert {name: cost / plain for name, cost in costs.items() if cost > 4 * plain} == {}


def test_a_path_and_a_method_of_8_kb_leave_a_short_record(stranger: Shopper, admin: Shopper) -> None:
    request_id = uuid.uuid4().hex
    words = " ".join(secrets.token_hex(4) for _ in range(LONG // 9)).replace(" ", "-")
    for method, path in (("GET", f"/{words}"), ("A" * LONG, "/nowhere")):
        stranger.request(method, path, headers={"X-Request-ID": request_id})
    found = wait_for(lambda: len(each := read_records(admin, request_id=request_id)) == 2 and each)
    assert {len(record["attributes"]["url.path"]) for record in found} == {256, len("/nowhere")}
    assert max(len(json.dumps(record)) for record in found) < 2_000


def test_a_cookie_that_is_sent_twice_lends_no_dead_token_a_live_one(
    guest: Shopper, stranger: Shopper
) -> None:
    mine, dead = guest.cookies["token"], f"{guest.cookies['token'].rpartition('.')[0]}.{'A' * 86}"
    pairs = [
        f"token ={mine}; token={dead}",
        f"a=b;\ttoken={mine}; token={dead}",
        f"token={mine}; token={dead}",
    ]
    pairs += [f'a="; token={dead}"; token={mine}', f"token={dead}; token={mine}"]
    passed = []
    for pair in pairs:
        for _ in range(3):
            stranger.get("/products", headers={"Cookie": pair})
            if stranger.get("/products", headers={"Cookie": f"token={dead}"}).status_code != 401:
                passed.append(pair)
    assert passed == []


def test_a_foreign_host_name_that_resolves_to_the_shop_is_refused(stranger: Shopper) -> None:
    paths = ("/", "/assets/app.js", "/products", "/auth/guest", "/docs", "/healthz/auth-service", "/nowhere")
    for host in ("evil.example", "localhost.evil.example:8080", "gateway", "0.0.0.0"):
        for method in ("GET", "POST"):
            answers = {path: stranger.request(method, path, headers={"Host": host}) for path in paths}
            assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(paths, 421)
            assert not any("Set-Cookie" in answer.headers for answer in answers.values())
        assert stranger.get("/healthz", headers={"Host": host}).status_code == 200


def test_a_token_has_one_spelling(guest: Shopper, stranger: Shopper) -> None:
    token = guest.cookies["token"]
    signed, _, signature = token.rpartition(".")
    raw = jwt.utils.base64url_decode(signature)
    r, s = raw[:32], int.from_bytes(raw[32:], "big")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    next_character = alphabet[alphabet.index(signature[-1]) ^ 1]  # It differs in an unused bit.
    spellings = {
        "padding": f"{token}==",
        "one sign of padding": f"{token}=",
        "an unused bit": f"{token[:-1]}{next_character}",
        "a blank": f"{signed}.{signature[:40]} {signature[40:]}",
        "another alphabet": f"{signed}.{signature.replace('-', '+').replace('_', '/')}*",
        "a fourth part": f"{token}.",
    }
    accepted = {}
    for name, spelling in spellings.items():
        for path in ("/products", "/cart", "/auth/me", "/payments"):
            headers = {"Authorization": f"Bearer {spelling}"}
            if (status := stranger.get(path, headers=headers).status_code) != 401:
                accepted[name, path] = status
    assert accepted == {}
    # This signature is valid too (ECDSA), and the gateway counts its calls together with those of the first.
    twin = jwt.utils.base64url_encode(r + (ORDER_OF_CURVE - s).to_bytes(32, "big")).decode()
    twin_headers = {"Authorization": f"Bearer {signed}.{twin}"}
    assert stranger.get("/cart", headers=twin_headers).status_code in {200, 401}


# Hostile bodies of at most a megabyte, each with a harmless body of the same size.
HARMLESS = json.dumps({"quantity": 1, "note": "x" * 1_000_000}).encode()
HARMLESS_RECORDS = {
    "resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "x" * 900}}] * 1000}]}]
}
WORST = {
    "members": json.dumps({f"m{number:07}": 1 for number in range(70_000)}).encode(),
    "members of no length": ("{" + ",".join(f'"{number:x}":0' for number in range(100_000)) + "}").encode(),
    "items": b"[" + b"0," * 500_000 + b"0]",
    "empty lists": b"[" + b"[]," * 330_000 + b"[]]",
    "depth": b'{"a":' * 160_000 + b"1" + b"}" * 160_000,
    "depth of lists": b"[" * 500_000 + b"]" * 500_000,
    "items of a known member": json.dumps({"quantity": [{}] * 250_000, "items": [{}] * 80_000}).encode(),
}
ROUTES = {
    "auth-service": "POST /auth",
    "catalog-service": "POST /products",
    "orders-service": "PUT /cart/items/1",
    "payments-service": "POST /payments/0199c0de-0000-7000-8000-0123456789ab/confirm",
    "logs-service": "POST /v1/logs",
}


@proven_by("tests/shared/test_json_bounds.py", "tests/logs/test_hostile_exports.py")
@pytest.mark.parametrize("service", SERVICES)
def test_a_large_body_is_refused_briefly_at_the_cost_of_a_harmless_one(
    shop: ProcessStack, admin: Shopper, service: str
) -> None:
    method, _, path = ROUTES[service].partition(" ")

    def send(body: bytes) -> requests.Response:
        headers = {**JSON, "Idempotency-Key": uuid.uuid4().hex}
        return admin.request(method, path, data=body, headers=headers, timeout=60)

    harmless = json.dumps(HARMLESS_RECORDS).encode() if service == "logs-service" else HARMLESS
    plain = measure(shop, service, lambda: send(harmless))
    wrong: dict[str, Any] = {}
    for name, body in WORST.items():
        answer = send(body)
        refused = answer.status_code in {400, 413, 422} or service == "logs-service"
        entries = answer.json().get("errors", []) if refused else []
        if not refused or len(answer.content) > 10_000 or len(entries) > 20:
            wrong[name] = (answer.status_code, len(answer.content), len(entries))
        # The service scans the body a few times; decoding it into Python objects would cost far more.
        if (cost := measure(shop, service, lambda body=body: send(body), times=3)) > max(10 * plain, 0.1):
            wrong[f"{name} costs"] = f"{cost:.3f} s, and a harmless one {plain:.3f} s"
    with Watch(shop, service) as watch, ThreadPoolExecutor(AT_ONCE) as pool:
        bodies = [body for body in WORST.values() for _ in range(AT_ONCE)]
        list(pool.map(send, bodies))
    if watch.peak_mib > CONTAINER_MIB:
        wrong["all at once"] = f"{watch.peak_mib:.0f} MiB"
    assert wrong == {}


def test_a_hundred_thousand_unknown_members_are_refused_with_twenty_entries(guest: Shopper) -> None:
    few = {f"unknown{number}": 1 for number in range(1000)}
    answer = guest.put("/cart/items/1", json={"quantity": 1, **few})
    assert answer.status_code == 422
    assert len(answer.content) < 10_000
    many = guest.put("/cart/items/1", data=WORST["members of no length"], headers=JSON)
    assert many.status_code in {400, 413, 422}
    assert len(many.content) < 10_000


@proven_by("tests/shared/test_redaction.py")
def test_redaction_of_digits_and_dashes_costs_no_more_than_of_words(
    shop: ProcessStack, stranger: Shopper, integrator: Shopper, admin: Shopper
) -> None:
    def call(text: str) -> None:
        request_id = uuid.uuid4().hex
        for _ in range(8):
            stranger.get(f"/{text}"[:LONG], headers={"X-Request-ID": request_id})
        wait_for(lambda: len(read_records(admin, request_id=request_id)) == 8)

    def export(text: str) -> None:
        records = [make_record(f"{number} {text}", thing=text) for number in range(8)]
        assert send_records(integrator, "collector", *records).status_code == 200

    for how in (call, export):
        costs = {
            text: measure(shop, "logs-service", lambda text=text, how=how: how(text * LONG), times=2)
            for text in ("1-", "a-")
        }
        assert costs["1-"] < 5 * costs["a-"], (how.__name__, costs)


@proven_by("tests/logs/test_gateway.py")
def test_long_random_paths_fill_the_logs_no_faster_than_short_ones(
    shop: ProcessStack, stranger: Shopper, admin: Shopper
) -> None:
    server = shop.describe()["postgres"]
    password = Path(server["superuser_password_file"]).read_text().strip()
    server = {"host": server["host"], "port": server["port"], "user": "postgres", "password": password}

    def grow(make_path: Callable[[], str]) -> int:
        """Return how much these calls make the database grow, in bytes."""
        with psycopg.connect(dbname="postgres", autocommit=True, **server) as line:

            def read_size() -> int:
                return line.execute("SELECT pg_database_size('logs')").fetchone()[0]  # type: ignore[index]

            before, last = read_size(), uuid.uuid4().hex
            for _ in range(500):
                stranger.get(make_path())
            stranger.get("/nowhere", headers={"X-Request-ID": last})
            read_records(admin, request_id=last)
            return read_size() - before

    plain = grow(lambda: f"/{secrets.token_hex(4)}")
    cost = grow(lambda: "/" + "-".join(secrets.token_hex(4) for _ in range(LONG // 9)))
    # The first 256 characters have some thirty words.
    assert cost < 4 * max(plain, 500_000), f"{cost} bytes, and short ones {plain}"


def make_record(text: str, **attributes: str) -> dict[str, Any]:
    """Return a log record in OTLP's JSON."""
    named = [{"key": name, "value": {"stringValue": value}} for name, value in attributes.items()]
    return {"timeUnixNano": str(time.time_ns()), "body": {"stringValue": text}, "attributes": named}


def send_records(integrator: Shopper, service: str, *records: dict[str, Any]) -> requests.Response:
    """Export records under the name of a service."""
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    logs = {"resource": resource, "scopeLogs": [{"logRecords": list(records)}]}
    return integrator.post("/v1/logs", json={"resourceLogs": [logs]})


def test_an_integrator_writes_records_only_under_its_own_name(integrator: Shopper, admin: Shopper) -> None:
    word = f"w{uuid.uuid4().hex}"
    client_id = jwt.decode(
        integrator.headers["Authorization"].split()[1],
        options={"verify_signature": False},  # type: ignore[union-attr]
    )["client_id"]
    for service in SERVICES:
        record = make_record(f"{word} {service}", **{"shopfleet.audit": "user.deleted"})
        assert send_records(integrator, service, record).status_code in {200, 403}
    assert send_records(integrator, "collector", make_record(f"{word} own")).status_code == 200
    found = read_records(admin, q=word)
    assert [record["message"] for record in found if record["service"] in SERVICES] == []
    assert [record["message"] for record in found if client_id not in json.dumps(record)] == []


BOMBS = {
    "empty resources": b'{"resourceLogs":[' + b"{}," * 2_790_000 + b"{}]}",
    "empty scopes": b'{"resourceLogs":[{"scopeLogs":[' + b"{}," * 2_790_000 + b"{}]}]}",
    "empty records": b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[' + b"{}," * 2_790_000 + b"{}]}]}]}",
    "empty attributes": b'{"resourceLogs":[{"resource":{"attributes":[' + b"{}," * 2_790_000 + b"{}]}}]}",
    "depth": b'{"resourceLogs":' * 500_000,
}


@proven_by("tests/logs/test_hostile_exports.py")
def test_an_export_that_unpacks_to_many_parts_is_refused_and_kills_no_process(
    shop: ProcessStack, integrator: Shopper
) -> None:
    wrong: dict[str, Any] = {}
    headers = {**JSON, "Content-Encoding": "gzip"}
    for name, bomb in BOMBS.items():
        packed = gzip.compress(bomb)
        with Watch(shop, "logs-service") as watch, ThreadPoolExecutor(4) as pool:
            send = lambda body: integrator.post("/v1/logs", data=body, headers=headers, timeout=120)  # noqa: E731
            answers = list(pool.map(send, [packed] * 4))
        statuses = {answer.status_code for answer in answers}
        partial = any("partialSuccess" in answer.json() for answer in answers if answer.status_code == 200)
        if (200 in statuses and not partial) or not statuses <= {200, 400, 413, 429, 503}:
            wrong[name] = statuses
        if watch.peak_mib > CONTAINER_MIB:
            wrong[f"{name} at once"] = f"{watch.peak_mib:.0f} MiB"
    assert wrong == {}


class Address(HTTPAdapter):
    """Connections from one address."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Bind each connection to the address."""
        super().init_poolmanager(*arguments, **options, source_address=(self._address, 0))


@proven_by("tests/auth/test_flood.py")
def test_registrations_do_not_keep_known_users_from_logging_in(shop: ProcessStack) -> None:
    ends_at = time.monotonic() + 6

    def register(address: str) -> int:
        """Register as fast as the gateway allows this address; return the number of answers."""
        answered = 0
        with Shopper(shop.url) as crowd:
            crowd.mount("http://", Address(address))
            while time.monotonic() < ends_at:
                account = {"username": f"crowd-{secrets.token_hex(6)}", "password": PASSWORD}
                with suppress(requests.RequestException):
                    answered += crowd.post("/auth/register", json=account).status_code in {201, 503}
        return answered

    with ThreadPoolExecutor(20) as pool:
        crowd = [pool.submit(register, f"127.0.0.{2 + number % 2}") for number in range(20)]
        statuses = []
        with Shopper(shop.url) as admin:
            while time.monotonic() < ends_at:
                account = {"username": "admin", "password": "admin"}
                statuses.append(admin.post("/auth", json=account, timeout=30).status_code)
    assert sum(each.result() for each in crowd) > 20
    assert set(statuses) == {200}


@proven_by("tests/orders/test_waiting.py")
def test_orders_that_await_authentication_reserve_a_bounded_part_of_the_stock(
    shop: ProcessStack, admin: Shopper
) -> None:
    body = {"sku": uuid.uuid4().hex, "title": "Much wanted", "price": 1.5, "on_hand": 5000}
    product = admin.post("/products", json=body).json()["id"]
    items = [{"product_id": product, "quantity": 100}]
    statuses = []
    for _ in range(4):
        with Shopper(shop.url) as guest:
            assert guest.post("/auth/guest").status_code == 201
            for _ in range(8):
                answer = place(guest, uuid.uuid4().hex, "pm_card_authenticationRequired", items=items)
                statuses.append(answer.status_code)
                if answer.status_code == 429:
                    assert answer.json()["code"] == "too_many_waiting", answer.text
    assert set(statuses) == {201, 429}
    assert statuses.count(201) * 100 <= 1000
    # Other customers can still buy.
    with Shopper(shop.url) as guest:
        assert guest.post("/auth/guest").status_code == 201
        assert (
            place(guest, uuid.uuid4().hex, items=[{"product_id": product, "quantity": 1}]).status_code == 201
        )


def test_a_page_of_another_site_cannot_replace_a_session(guest: Shopper, stranger: Shopper) -> None:
    account = {"username": f"visitor-{secrets.token_hex(6)}", "password": PASSWORD}
    wrong = []
    for path, body in (
        ("/auth/guest", None),
        ("/auth", account),
        ("/auth/register", account),
        ("/auth/refresh", None),
    ):
        for caller in (guest, stranger):
            answer = caller.post(path, json=body, headers=EVIL) if body else caller.post(path, headers=EVIL)
            if answer.status_code != 403 or "Set-Cookie" in answer.headers:
                wrong.append((path, answer.status_code))
    assert wrong == []
    assert guest.get("/auth/me").status_code == 200


@proven_by("tests/auth/test_oauth.py")
def test_a_form_of_98_000_fields_costs_no_more_than_a_long_one(shop: ProcessStack, stranger: Shopper) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    def send(body: str) -> requests.Response:
        return stranger.post("/auth/token", data=body, headers=form)

    many = "&".join(f"{number:07x}=1" for number in range(98_000))
    # The answer must arrive, also where the service does not read the rest of the body.
    assert {send(many).status_code for _ in range(10)} <= {400, 413}
    plain = measure(shop, "auth-service", lambda: send("grant_type=password&x=" + "1" * len(many)))
    cost = measure(shop, "auth-service", lambda: send(many))
    assert cost < max(5 * plain, 0.05), f"{cost:.3f} s, and a harmless one {plain:.3f} s"


@proven_by("tests/auth/test_register.py")
@pytest.mark.parametrize("password", ["Password2024!", "letmein12", "attacker-1234", "shopfleet2024"])
def test_an_easily_guessed_password_is_refused(stranger: Shopper, password: str) -> None:
    answer = stranger.post("/auth/register", json={"username": "attacker-1234", "password": password})
    assert answer.status_code == 422, answer.text
