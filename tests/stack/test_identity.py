"""Every service refuses an ended session within five seconds, and no other session; on both stacks."""

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

# A route of each service that requires a token.
DOORS = {
    "auth-service": "/auth/me",
    "catalog-service": "/products?limit=1",
    "orders-service": "/cart",
    "payments-service": "/payments",
    "logs-service": "/logs?limit=1",
}
PASSWORD = "correct horse battery"
PUBLISHED = 5  # Seconds until a new key signs; services fetch a key that they do not know.


class Person(Shopper):
    """A registered customer, who sends tokens in the header only."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.name = f"person-{secrets.token_hex(6)}"
        self.keep(self.post("/auth/register", json={"username": self.name, "password": PASSWORD}), 201)

    def keep(self, answer, status: int = 200) -> str:
        """Use the token of an answer for further calls; return it."""
        assert answer.status_code == status, answer.text
        self.cookies.clear()
        self.token = answer.json()["access_token"]
        self.headers["Authorization"] = f"Bearer {self.token}"
        return self.token

    @property
    def user_id(self) -> str:
        return jwt.decode(self.token, options={"verify_signature": False})["sub"]


def knock(stack: Stack, token: str) -> dict[str, int]:
    """Return each service's answer to a token."""
    with Shopper(stack.url) as shopper:
        headers = {"Authorization": f"Bearer {token}"}
        return {service: shopper.get(path, headers=headers).status_code for service, path in DOORS.items()}


def is_known_everywhere(stack: Stack, token: str) -> bool:
    """Return whether every service accepts the token; some answers are for admins only."""
    return set(knock(stack, token).values()) <= {200, 403}


def is_out_everywhere(stack: Stack, token: str) -> bool:
    return set(knock(stack, token).values()) == {401}


def assert_out_in_time(stack: Stack, token: str) -> None:
    """Wait until a token is refused, and check that every replica keeps refusing it."""
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
    """Pause a part during a block."""
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


@pytest.mark.parametrize("change", [{"disabled": True}, {"role": "admin", "current_password": "admin"}])
def test_a_disabled_user_or_a_new_role_ends_all_sessions_everywhere(stack, person, admin, change):
    answer = admin.patch(f"/auth/users/{person.user_id}", json=change)
    assert answer.status_code == 200, answer.text
    assert_out_in_time(stack, person.token)


def test_a_new_password_ends_every_session_except_its_new_one(stack, person):
    body = {"current_password": PASSWORD, "new_password": f"{PASSWORD} staple"}
    ended = person.token
    begun = person.keep(person.post("/auth/password", json=body))
    assert_out_in_time(stack, ended)
    assert is_known_everywhere(stack, begun)


def read_remarks(stack: ProcessStack) -> list[str]:
    """Return each other service's remark about its sign-off list; all services are ready."""
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
def test_while_auth_is_down_ended_sessions_stay_ended_and_others_continue(stack, person):
    ended = person.token
    alive = person.keep(person.post("/auth", json={"username": person.name, "password": PASSWORD}))
    person.post("/auth/logout", headers={"Authorization": f"Bearer {ended}"})
    assert_out_in_time(stack, ended)
    doors = {service: path for service, path in DOORS.items() if service != "auth-service"}
    answers: dict[str, Counter[int]] = {"ended": Counter(), "alive": Counter()}

    def are_lists_old() -> bool:
        """Call every service with both tokens; return whether the list is older than in normal operation."""
        for path in doors.values():
            for name, token in (("ended", ended), ("alive", alive)):
                answer = shopper.get(path, headers={"Authorization": f"Bearer {token}"})
                answers[name][answer.status_code] += 1
        if isinstance(stack, ProcessStack):
            return all("signed-off list is" in remark for remark in read_remarks(stack))
        return time.monotonic() - began > 3 * REFRESH_EVERY  # A container shows its remarks inside only.

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
def test_a_service_that_starts_while_auth_is_down_answers_503_and_never_401(stack, person):
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
    """Customers who call every service in turn and record the answers."""

    def __init__(self, make_call: Callable[[], int | str], number: int = 3) -> None:
        self.answers: Counter[int | str] = Counter()
        self._make_call = make_call
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._go, daemon=True) for _ in range(number)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Wait until each customer has finished."""
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
    """Guests start sessions and call every service before, during and after the rotation."""

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
            rotated = stack.command(
                "auth-service", "auth.commands.signing_keys", "rotate", "--after", str(PUBLISHED)
            )
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
        # Tokens of the old key remain valid.
        assert read_kid(first) != new
        assert is_known_everywhere(stack, first)


def log_in_with_a_new_key(stack: Stack, person: Person) -> None:
    """Rotate to a new key at once, and log in again."""
    new = stack.command("auth-service", "auth.commands.signing_keys", "rotate", "--now").split()[0]

    def log_in() -> str:
        return person.keep(person.post("/auth", json={"username": person.name, "password": PASSWORD}))

    wait_for(lambda: read_kid(log_in()) == new)


@on_breakable_stacks
def test_tokens_of_a_retired_key_are_refused_and_services_renew_their_own_tokens(stack):
    """The old key is compromised: its tokens are refused, including those of services."""
    with Person(stack.url) as person:
        old = person.token
        log_in_with_a_new_key(stack, person)
        stack.command("auth-service", "auth.commands.signing_keys", "retire", read_kid(old))
        # A service fetches the keys when it sees an unknown key, and so notices at once.
        log_in_with_a_new_key(stack, person)
        wait_for(lambda: is_known_everywhere(stack, person.token))
        wait_for(lambda: is_out_everywhere(stack, old))
        # The sign-off list still arrives, although each service had a token of the old key.
        assert person.post("/auth/logout").status_code == 204
        assert_out_in_time(stack, person.token)
        # So do prices, which orders-service reads from the catalogue with its own token.
        person.keep(person.post("/auth", json={"username": person.name, "password": PASSWORD}))
        person.put("/cart/items/1", json={"quantity": 1})
        assert person.get("/cart").json()["amount"] is not None


@pytest.mark.long
@pytest.mark.parametrize("stack", [BREAKABLE], indirect=True)
def test_tokens_of_a_retired_key_are_refused_within_30_seconds_without_a_new_key(stack):
    with Person(stack.url) as person:
        old = person.token
        log_in_with_a_new_key(stack, person)
        wait_for(lambda: is_known_everywhere(stack, person.token))
        stack.command("auth-service", "auth.commands.signing_keys", "retire", read_kid(old))
        assert_soon(lambda: is_out_everywhere(stack, old), seconds=30 + LIMIT)
