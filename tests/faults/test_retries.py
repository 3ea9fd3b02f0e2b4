"""A client that repeats a call any number of times buys once and always gets the same response."""

import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest
import requests

from tests.faults.customers import FINAL_WITHIN, Customer, order_of, read_code
from tests.stacks import Stack
from tests.waiting import wait_for

pytestmark = [pytest.mark.shop, pytest.mark.timeout(900)]

AT_ONCE = 20
PARTS = ("orders-service", "payments-service", "catalog-service", "postgres")
PRODUCT = 30


@pytest.fixture
def customer(stack: Stack) -> Iterator[Customer]:
    """A guest."""
    with Customer(stack.url) as customer:
        yield customer.start_guest_session()


@pytest.fixture
def key() -> dict[str, str]:
    """A fresh idempotency key."""
    return {"Idempotency-Key": uuid.uuid4().hex}


def read_orders(customer: Customer) -> list[str]:
    """Return the ids of a customer's orders."""
    return [order["id"] for order in customer.call_until_answered("GET", "/orders").json()["data"]]


def test_twenty_concurrent_calls_with_the_same_key_buy_once(customer: Customer, key: dict[str, str]) -> None:
    body = order_of("pm_card_visa", PRODUCT)

    def call(_number: int) -> requests.Response:
        with Customer(customer.url) as other:
            other.headers["Authorization"] = customer.headers["Authorization"]
            # On a busy machine the order may be pending for longer than a call waits.
            return wait_for(
                lambda: (
                    (answer := other.call_until_answered("POST", "/orders", json=body, headers=key))
                    and answer.status_code != 202
                    and answer
                )
            )

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(call, range(AT_ONCE)))
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
    # One call at most got the original response, and all others a replay.
    replays = ["Idempotent-Replayed" in answer.headers for answer in answers]
    assert replays.count(True) >= AT_ONCE - 1
    assert read_orders(customer) == [answers[0].json()["id"]]


def test_a_client_that_times_out_gets_the_response_on_its_next_call(
    customer: Customer, key: dict[str, str]
) -> None:
    body = order_of("pm_fault_late", PRODUCT)
    with suppress(requests.Timeout):
        customer.post("/orders", json=body, headers=key, timeout=0.5)
    first = customer.call_until_answered("POST", "/orders", json=body, headers=key)
    assert first.status_code in {201, 202}, first.text
    order = first.json()["id"]
    customer.wait_for_order(order, lambda order: order["status"] == "paid", seconds=FINAL_WITHIN)
    final = customer.call_until_answered("POST", "/orders", json=body, headers=key)
    assert (final.status_code, final.json()["id"]) == (201, order)
    assert final.headers["Idempotent-Replayed"] == "true"
    assert read_orders(customer) == [order]


def test_a_call_that_fails_because_a_part_dies_buys_once_on_retry(breakable: Stack) -> None:
    """Each order completes by itself while the next part is killed."""
    placed: dict[str, tuple[Customer, Future[requests.Response]]] = {}
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(len(PARTS)))
        for part in PARTS:
            customer = stack.enter_context(Customer(breakable.url)).start_guest_session()
            other = stack.enter_context(Customer(breakable.url))
            other.headers["Authorization"] = customer.headers["Authorization"]
            body, key = order_of("pm_fault_late", PRODUCT), uuid.uuid4().hex
            answer = pool.submit(
                customer.call_until_answered, "POST", "/orders", json=body, headers={"Idempotency-Key": key}
            )
            # Now the order waits for the provider, or the call has its response.
            wait_for(lambda other=other: read_orders(other))
            breakable.kill(part)
            placed[part] = (other, answer)
        wrong = {
            part: find_violation(customer, answer.result()) for part, (customer, answer) in placed.items()
        }
    assert wrong == dict.fromkeys(PARTS)


def find_violation(customer: Customer, answer: requests.Response) -> str | None:
    """Return a violation, unless the order gets paid and is the customer's only one."""
    if answer.status_code not in {201, 202}:
        return answer.text
    order = answer.json()["id"]
    customer.wait_for_order(order, lambda order: order["status"] == "paid", seconds=FINAL_WITHIN)
    orders = read_orders(customer)
    return None if orders == [order] else f"{order} was placed, and the customer has {orders}"


@pytest.mark.parametrize("card", ["pm_card_visa", "pm_card_chargeDeclined"])
def test_reusing_a_key_with_a_different_body_is_refused_and_buys_nothing(
    customer: Customer, key: dict[str, str], card: str
) -> None:
    first = customer.call_until_answered("POST", "/orders", json=order_of(card, PRODUCT), headers=key)
    assert first.status_code == (201 if card == "pm_card_visa" else 402)
    other = customer.call_until_answered("POST", "/orders", json=order_of(card, PRODUCT, 2), headers=key)
    assert (other.status_code, read_code(other)) == (422, "idempotency_key_reused")
    again = customer.call_until_answered("POST", "/orders", json=order_of(card, PRODUCT), headers=key)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert len(read_orders(customer)) == 1


def test_two_customers_may_use_the_same_key(stack: Stack, customer: Customer, key: dict[str, str]) -> None:
    body = order_of("pm_card_visa", PRODUCT)
    mine = customer.call_until_answered("POST", "/orders", json=body, headers=key)
    with Customer(stack.url) as other:
        theirs = other.start_guest_session().call_until_answered("POST", "/orders", json=body, headers=key)
    assert (mine.status_code, theirs.status_code) == (201, 201)
    assert mine.json()["id"] != theirs.json()["id"]


def test_twenty_concurrent_refunds_with_the_same_key_refund_once(
    stack: Stack, customer: Customer, key: dict[str, str]
) -> None:
    order = customer.order(uuid.uuid4().hex, "pm_card_visa", product=PRODUCT).json()["id"]
    customer.wait_for_order(order, lambda order: order["status"] == "paid", seconds=FINAL_WITHIN)

    def call(_number: int) -> requests.Response:
        with Customer(stack.url) as admin:
            return admin.log_in_as_admin().refund(key["Idempotency-Key"], order, amount=1)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(call, range(AT_ONCE)))
    assert len({(answer.status_code, answer.content) for answer in answers}) == 1, answers[0].text
    assert customer.read_order(order)["amount_refunded"] == 1
