"""A session that ends is over in every service within five seconds, and no other is; on both stacks."""

import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import jwt
import pytest

from shared.sign_offs import REFRESH_EVERY
from tests.stack.conftest import BREAKABLE, on_breakable_stacks
from tests.stack.deadlines import LIMIT, assert_soon
from tests.stacks import SERVICES, ProcessStack, Shopper, Stack
from tests.waiting import wait_for

pytestmark = [pytest.mark.shop, pytest.mark.timeout(900)]

# A door of each service that asks for a token.
DOORS = {
    "auth-service": "/auth/me",
    "catalog-service": "/products?limit=1",
    "orders-service": "/cart",
    "payments-service": "/payments",
    "logs-service": "/logs?limit=1",
}
PASSWORD = "correct horse battery"
PUBLISHED = 5  # Seconds until a new key signs: enough to be known, since an unknown key is asked for.


class Person(Shopper):
    """A registered customer, who shows tokens in the header alone."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.name = f"person-{secrets.token_hex(6)}"
        self.keep(self.post("/auth/register", json={"username": self.name, "password": PASSWORD}), 201)

    def keep(self, answer, status: int = 200) -> str:
        """Use the token of an answer from now on; return it."""
        assert answer.status_code == status, answer.text
        self.cookies.clear()
        self.token = answer.json()["access_token"]
        self.headers["Authorization"] = f"Bearer {self.token}"
        return self.token

    @property
    def user_id(self) -> str:
        return jwt.decode(self.token, options={"verify_signature": False})["sub"]


def knock(stack: Stack, token: str) -> dict[str, int]:
    """Return what each service answers to a token."""
    with Shopper(stack.url) as shopper:
        headers = {"Authorization": f"Bearer {token}"}
        return {service: shopper.get(path, headers=headers).status_code for service, path in DOORS.items()}


def is_known_everywhere(stack: Stack, token: str) -> bool:
    """Tell whether every service accepts the token; some answers are for admins only."""
    return set(knock(stack, token).values()) <= {200, 403}


def is_out_everywhere(stack: Stack, token: str) -> bool:
    return set(knock(stack, token).values()) == {401}


def assert_out_in_time(stack: Stack, token: str) -> None:
    """See the end of a token, and that every replica goes on refusing it."""
    assert_soon(lambda: is_out_everywhere(stack, token))
    assert all(is_out_everywhere(stack, token) for _ in range(4))


@pytest.fixture
def person(stack: Stack) -> Iterator[Person]:
    with Person(stack.url) as person:
        assert is_known_everywhere(stack, person.token)
        yield person


@pytest.fixture
def admin(stack: Stack) -> Iterator[Shopper]:
    with Shopper(stack.url) as admin:
        admin.log_in()
        yield admin


@contextmanager
def away(stack: Stack, part: str) -> Iterator[None]:
    """Pause a part for the length of a block."""
    stack.pause(part)
    try:
        yield
    finally:
        stack.resume(part)


def test_signing_out_ends_the_session_everywhere_and_no_other(stack, person):
    ended = person.token
    other = person.keep(person.post("/auth", json={"username": person.name, "password": PASSWORD}))
    answer = person.post("/auth/logout", headers={"Authorization": f"Bearer {ended}"})
    assert answer.status_code == 204
    assert_out_in_time(stack, ended)
    assert is_known_everywhere(stack, other)


@pytest.mark.parametrize("change", [{"disabled": True}, {"role": "admin"}])
def test_a_user_who_is_disabled_or_gets_another_role_is_out_everywhere(stack, person, admin, change):
    answer = admin.patch(f"/auth/users/{person.user_id}", json=change)
    assert answer.status_code == 200, answer.text
    assert_out_in_time(stack, person.token)


def test_a_new_password_ends_every_session_but_the_one_that_it_begins(stack, person):
    body = {"current_password": PASSWORD, "new_password": f"{PASSWORD} staple"}
    ended = person.token
    begun = person.keep(person.post("/auth/password", json=body))
    assert_out_in_time(stack, ended)
    assert is_known_everywhere(stack, begun)


def read_remarks(stack: ProcessStack) -> list[str]:
    """Return what each service but auth says of its signed-off list; all are ready."""
    services = stack.describe()["services"]
    found = []
    for name in SERVICES:
        if name != "auth-service":
            with Shopper(services[name]["url"]) as client:
                answer = client.get("/readyz")
            assert answer.status_code == 200, answer.text
            found.append(answer.json()["remarks"].get("sign_offs", ""))
    return found


@on_breakable_stacks
def test_while_auth_is_away_an_ended_session_stays_ended_and_all_others_go_on(stack, person):
    ended = person.token
    alive = person.keep(person.post("/auth", json={"username": person.name, "password": PASSWORD}))
    person.post("/auth/logout", headers={"Authorization": f"Bearer {ended}"})
    assert_out_in_time(stack, ended)
    doors = {service: path for service, path in DOORS.items() if service != "auth-service"}
    answers: dict[str, Counter[int]] = {"ended": Counter(), "alive": Counter()}

    def are_lists_old() -> bool:
        """Call every service with both tokens; tell whether the list is older than it ever is otherwise."""
        for path in doors.values():
            for name, token in (("ended", ended), ("alive", alive)):
                answer = shopper.get(path, headers={"Authorization": f"Bearer {token}"})
                answers[name][answer.status_code] += 1
        if isinstance(stack, ProcessStack):
            return all("signed-off list is" in remark for remark in read_remarks(stack))
        return time.monotonic() - began > 3 * REFRESH_EVERY  # A container tells its remarks inside only.

    with away(stack, "auth-service"), Shopper(stack.url) as shopper:
        began = time.monotonic()
        wait_for(are_lists_old)
    assert set(answers["ended"]) == {401}
    assert set(answers["alive"]) == {200, 403}
    if isinstance(stack, ProcessStack):
        wait_for(lambda: not any(read_remarks(stack)))
    wait_for(lambda: is_known_everywhere(stack, alive), seconds=LIMIT)
    assert person.post("/auth/logout").status_code == 204
    assert_out_in_time(stack, alive)


@on_breakable_stacks
def test_a_service_that_starts_while_auth_is_away_says_come_back_and_never_calls_a_token_invalid(
    stack, person
):
    answers = []

    def is_back() -> bool:
        answers.append(person.get("/cart"))
        return answers[-1].status_code == 200

    wait_for(is_back)
    with away(stack, "auth-service"):
        stack.kill("orders-service")
        wait_for(lambda: not is_back() and answers[-1].headers.get("Retry-After"))
        for _ in range(5):
            is_back()
    wait_for(is_back)
    assert {answer.status_code for answer in answers} <= {200, 502, 503, 504}


class Crowd:
    """Customers who call every service, one call after the other, and note what they get."""

    def __init__(self, make_call: Callable[[], int | str], number: int = 3) -> None:
        self.answers: Counter[int | str] = Counter()
        self._make_call = make_call
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._go, daemon=True) for _ in range(number)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let each customer finish."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _go(self) -> None:
        while not self._stop.is_set():
            try:
                self.answers[self._make_call()] += 1
            except Exception as error:
                self.answers[repr(error)] += 1
            self._stop.wait(0.05)


def read_kid(token: str) -> str:
    return jwt.get_unverified_header(token)["kid"]


@on_breakable_stacks
def test_a_rotation_of_keys_loses_no_request(stack):
    """Guests come in and call every service, from before it until the new key has signed for a while."""

    def visit() -> int | str:
        with Shopper(stack.url) as guest:
            answer = guest.post("/auth/guest")
            statuses = set(knock(stack, answer.json()["access_token"]).values())
            return "well" if answer.status_code == 201 and statuses <= {200, 403} else str(sorted(statuses))

    with Person(stack.url) as person:
        first = person.token
        crowd = Crowd(visit)
        try:
            wait_for(lambda: crowd.answers["well"] > 10 or len(crowd.answers) > 1)
            rotated = stack.command("auth-service", "auth.keys", "rotate", "--after", str(PUBLISHED))
            new = rotated.split()[0]

            def signs() -> bool:
                with Shopper(stack.url) as guest:
                    return read_kid(guest.post("/auth/guest").json()["access_token"]) == new

            wait_for(signs)
            seen = crowd.answers["well"]
            wait_for(lambda: crowd.answers["well"] > seen + 20 or len(crowd.answers) > 1)
        finally:
            crowd.stop()
        assert set(crowd.answers) == {"well"}, crowd.answers
        # What the old key signed is as good as ever.
        assert read_kid(first) != new
        assert is_known_everywhere(stack, first)


def log_in_with_a_new_key(stack: Stack, person: Person) -> None:
    """Let another key sign at once, and log in again."""
    new = stack.command("auth-service", "auth.keys", "rotate", "--now").split()[0]

    def log_in() -> str:
        return person.keep(person.post("/auth", json={"username": person.name, "password": PASSWORD}))

    wait_for(lambda: read_kid(log_in()) == new)


@on_breakable_stacks
def test_a_key_that_is_retired_takes_its_tokens_along_and_the_services_find_new_ones_by_themselves(stack):
    """The old key is compromised: what it signed is refused, also tokens of our own services."""
    with Person(stack.url) as person:
        old = person.token
        log_in_with_a_new_key(stack, person)
        stack.command("auth-service", "auth.keys", "retire", read_kid(old))
        # A service fetches the keys when it meets one that it does not know, and so notices at once.
        log_in_with_a_new_key(stack, person)
        wait_for(lambda: is_known_everywhere(stack, person.token))
        wait_for(lambda: is_out_everywhere(stack, old))
        # The signed-off list still comes, although each service asked for it with a token of the old key.
        assert person.post("/auth/logout").status_code == 204
        assert_out_in_time(stack, person.token)
        # So do prices, which orders-service asks the catalogue for with its own token.
        person.keep(person.post("/auth", json={"username": person.name, "password": PASSWORD}))
        person.put("/cart/items/1", json={"quantity": 1})
        assert person.get("/cart").json()["amount"] is not None


@pytest.mark.long
@pytest.mark.parametrize("stack", [BREAKABLE], indirect=True)
def test_the_tokens_of_a_retired_key_are_refused_within_30_seconds_where_no_new_key_is_met(stack):
    with Person(stack.url) as person:
        old = person.token
        log_in_with_a_new_key(stack, person)
        wait_for(lambda: is_known_everywhere(stack, person.token))
        stack.command("auth-service", "auth.keys", "retire", read_kid(old))
        assert_soon(lambda: is_out_everywhere(stack, old), seconds=30 + LIMIT)
