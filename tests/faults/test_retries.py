"""A client that repeats a call, for any reason and however often, buys once and gets the same answer."""

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
        yield customer.come_in()


@pytest.fixture
def key() -> dict[str, str]:
    """A fresh key."""
    return {"Idempotency-Key": uuid.uuid4().hex}


def read_orders(customer: Customer) -> list[str]:
    """Return the ids of a customer's orders."""
    return [order["id"] for order in customer.insist("GET", "/orders").json()["data"]]


def test_the_same_key_twenty_times_at_once_buys_once(customer: Customer, key: dict[str, str]) -> None:
    body = order_of("pm_card_visa", PRODUCT)

    def ask(_number: int) -> requests.Response:
        with Customer(customer.url) as other:
            other.headers["Authorization"] = customer.headers["Authorization"]
            return other.insist("POST", "/orders", json=body, headers=key)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(ask, range(AT_ONCE)))
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
    # The first call got the answer as new, all others again.
    assert sorted("Idempotent-Replayed" in answer.headers for answer in answers) == [False] + [True] * 19
    assert read_orders(customer) == [answers[0].json()["id"]]


def test_a_client_that_does_not_wait_for_the_answer_gets_it_the_next_time(
    customer: Customer, key: dict[str, str]
) -> None:
    body = order_of("pm_fault_late", PRODUCT)
    with suppress(requests.Timeout):
        customer.post("/orders", json=body, headers=key, timeout=0.5)
    first = customer.insist("POST", "/orders", json=body, headers=key)
    assert first.status_code in {201, 202}, first.text
    order = first.json()["id"]
    customer.wait_for_order(order, lambda order: order["status"] == "paid", seconds=FINAL_WITHIN)
    final = customer.insist("POST", "/orders", json=body, headers=key)
    assert (final.status_code, final.json()["id"]) == (201, order)
    assert final.headers["Idempotent-Replayed"] == "true"
    assert read_orders(customer) == [order]


def test_the_key_of_a_call_that_failed_because_a_part_died_buys_once(breakable: Stack) -> None:
    """Each order is finished by itself, while the next part dies."""
    placed: dict[str, tuple[Customer, Future[requests.Response]]] = {}
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(len(PARTS)))
        for part in PARTS:
            customer = stack.enter_context(Customer(breakable.url)).come_in()
            other = stack.enter_context(Customer(breakable.url))
            other.headers["Authorization"] = customer.headers["Authorization"]
            body, key = order_of("pm_fault_late", PRODUCT), uuid.uuid4().hex
            answer = pool.submit(
                customer.insist, "POST", "/orders", json=body, headers={"Idempotency-Key": key}
            )
            # The order waits for the provider now, or the call was answered already.
            wait_for(lambda other=other: read_orders(other))
            breakable.kill(part)
            placed[part] = (other, answer)
        wrong = {part: find_trouble(customer, answer.result()) for part, (customer, answer) in placed.items()}
    assert wrong == dict.fromkeys(PARTS)


def find_trouble(customer: Customer, answer: requests.Response) -> str | None:
    """Return what is wrong with an order that has to be paid, and its customer's only one."""
    if answer.status_code not in {201, 202}:
        return answer.text
    order = answer.json()["id"]
    customer.wait_for_order(order, lambda order: order["status"] == "paid", seconds=FINAL_WITHIN)
    orders = read_orders(customer)
    return None if orders == [order] else f"{order} was placed, and the customer has {orders}"


@pytest.mark.parametrize("card", ["pm_card_visa", "pm_card_chargeDeclined"])
def test_the_key_with_another_body_is_refused_and_buys_nothing(
    customer: Customer, key: dict[str, str], card: str
) -> None:
    first = customer.insist("POST", "/orders", json=order_of(card, PRODUCT), headers=key)
    assert first.status_code == (201 if card == "pm_card_visa" else 402)
    other = customer.insist("POST", "/orders", json=order_of(card, PRODUCT, 2), headers=key)
    assert (other.status_code, read_code(other)) == (422, "idempotency_key_reused")
    again = customer.insist("POST", "/orders", json=order_of(card, PRODUCT), headers=key)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert len(read_orders(customer)) == 1


def test_two_customers_may_use_the_same_key(stack: Stack, customer: Customer, key: dict[str, str]) -> None:
    body = order_of("pm_card_visa", PRODUCT)
    mine = customer.insist("POST", "/orders", json=body, headers=key)
    with Customer(stack.url) as other:
        theirs = other.come_in().insist("POST", "/orders", json=body, headers=key)
    assert (mine.status_code, theirs.status_code) == (201, 201)
    assert mine.json()["id"] != theirs.json()["id"]


def test_a_refund_twenty_times_at_once_gives_the_money_back_once(
    stack: Stack, customer: Customer, key: dict[str, str]
) -> None:
    order = customer.order(uuid.uuid4().hex, "pm_card_visa", product=PRODUCT).json()["id"]
    customer.wait_for_order(order, lambda order: order["status"] == "paid", seconds=FINAL_WITHIN)

    def ask(_number: int) -> requests.Response:
        with Customer(stack.url) as admin:
            return admin.come_in_as_admin().refund(key["Idempotency-Key"], order, amount=1)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, range(AT_ONCE)))
    assert len({(answer.status_code, answer.content) for answer in answers}) == 1, answers[0].text
    assert customer.read_order(order)["amount_refunded"] == 1
