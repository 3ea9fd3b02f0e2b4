"""Who is signed out is out in every service within five seconds, and nobody else notices; on both stacks."""

import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import jwt
import pytest

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
LIMIT = 5.0  # Seconds after which a session that ended is over everywhere.


class Person(Shopper):
    """Somebody with a name of their own, who shows tokens in the header alone."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.name = f"person-{secrets.token_hex(6)}"
        self.keep(self.post("/auth/register", json={"username": self.name, "password": PASSWORD}), 201)

    def keep(self, answer, status: int = 200) -> str:
        """Take the token of an answer as one's own; return it."""
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
    """Tell whether every service knows who it is; not everything is everybody's."""
    return set(knock(stack, token).values()) <= {200, 403}


def is_out_everywhere(stack: Stack, token: str) -> bool:
    return set(knock(stack, token).values()) == {401}


def assert_out_in_time(stack: Stack, token: str) -> None:
    """Wait for the end of a token, and see it stay so in every replica."""
    wait_for(lambda: is_out_everywhere(stack, token), seconds=LIMIT)
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
def test_a_user_who_is_closed_or_gets_another_role_is_out_everywhere(stack, person, admin, change):
    answer = admin.patch(f"/auth/users/{person.user_id}", json=change)
    assert answer.status_code == 200, answer.text
    assert_out_in_time(stack, person.token)


def test_a_new_password_ends_every_session_but_the_one_that_it_begins(stack, person):
    body = {"current_password": PASSWORD, "new_password": f"{PASSWORD} staple"}
    ended = person.token
    begun = person.keep(person.post("/auth/password", json=body))
    assert_out_in_time(stack, ended)
    assert is_known_everywhere(stack, begun)


def test_while_auth_is_away_what_was_signed_off_stays_so_and_everybody_else_shops_on(stack, person):
    ended = person.token
    alive = person.keep(person.post("/auth", json={"username": person.name, "password": PASSWORD}))
    person.post("/auth/logout", headers={"Authorization": f"Bearer {ended}"})
    assert_out_in_time(stack, ended)
    doors = {service: path for service, path in DOORS.items() if service != "auth-service"}
    with away(stack, "auth-service"), Shopper(stack.url) as shopper:
        answers: dict[str, Counter[int]] = {"ended": Counter(), "alive": Counter()}
        until = time.monotonic() + 8  # Four times as long as the list is fresh.
        while time.monotonic() < until:
            for path in doors.values():
                for name, token in (("ended", ended), ("alive", alive)):
                    answer = shopper.get(path, headers={"Authorization": f"Bearer {token}"})
                    answers[name][answer.status_code] += 1
    assert set(answers["ended"]) == {401}
    assert set(answers["alive"]) == {200, 403}
    wait_for(lambda: is_known_everywhere(stack, alive), seconds=LIMIT)
    assert person.post("/auth/logout").status_code == 204
    assert_out_in_time(stack, alive)


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
        wait_for(lambda: not is_back() and answers[-1].headers.get("Retry-After"), seconds=30)
        for _ in range(5):
            is_back()
    wait_for(is_back, seconds=30)
    assert {answer.status_code for answer in answers} <= {200, 502, 503, 504}


def test_readyz_says_how_old_the_list_is_while_auth_is_away(processes: ProcessStack):
    services = processes.describe()["services"]
    urls = [services[name]["url"] for name in SERVICES if name != "auth-service"]

    def read_remarks() -> list[str]:
        found = []
        for url in urls:
            with Shopper(url) as client:
                answer = client.get("/readyz")
                assert answer.status_code == 200, answer.text
                found.append(answer.json()["remarks"].get("sign_offs", ""))
        return found

    with away(processes, "auth-service"):
        wait_for(lambda: all("signed-off list is" in remark for remark in read_remarks()), seconds=30)
    wait_for(lambda: not any(read_remarks()), seconds=30)


class Crowd:
    """People who go in and out of every service, one call after the other, and note what they get."""

    def __init__(self, make_call: Callable[[], int | str], number: int = 3) -> None:
        self.answers: Counter[int | str] = Counter()
        self._make_call = make_call
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._go, daemon=True) for _ in range(number)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let everybody finish."""
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
            new = stack.command("auth-service", "auth.keys", "rotate").split()[0]

            def signs() -> bool:
                with Shopper(stack.url) as guest:
                    return read_kid(guest.post("/auth/guest").json()["access_token"]) == new

            wait_for(signs, seconds=120)
            seen = crowd.answers["well"]
            wait_for(lambda: crowd.answers["well"] > seen + 20 or len(crowd.answers) > 1, seconds=60)
        finally:
            crowd.stop()
        assert set(crowd.answers) == {"well"}, crowd.answers
        # What the old key signed is as good as ever.
        assert read_kid(first) != new
        assert is_known_everywhere(stack, first)


def test_a_key_that_is_retired_takes_its_tokens_along_and_the_services_find_new_ones_by_themselves(stack):
    """The old key is compromised: what it signed is refused within 30 s, also tokens of our own services."""
    with Person(stack.url) as person:
        old = person.token
        new = stack.command("auth-service", "auth.keys", "rotate", "--now").split()[0]

        def log_in() -> str:
            return person.keep(person.post("/auth", json={"username": person.name, "password": PASSWORD}))

        wait_for(lambda: read_kid(log_in()) == new)
        stack.command("auth-service", "auth.keys", "retire", read_kid(old))
        wait_for(lambda: is_out_everywhere(stack, old), seconds=45)
        wait_for(lambda: is_known_everywhere(stack, person.token), seconds=LIMIT)
        # The signed-off list still comes, although each service asked for it with a token of the old key.
        assert person.post("/auth/logout").status_code == 204
        assert_out_in_time(stack, person.token)
        # So do prices, which orders-service asks the catalogue for with its own token.
        log_in()
        person.put("/cart/items/1", json={"quantity": 1})
        assert person.get("/cart").json()["amount"] is not None
