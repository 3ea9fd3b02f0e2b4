"""Orders and refunds in the back office."""

import re
import secrets
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.back_office import (
    ADDRESS,
    add_product,
    confirm,
    leave_out,
    open_back_office,
    place_order,
    place_orders,
    read_order,
)
from tests.stacks import Shopper
from tests.waiting import wait_for

pytestmark = pytest.mark.shop


@pytest.fixture
def order(product: int, guest: Shopper) -> str:
    """The id of a paid order of two units at 40 dollars."""
    return place_order(guest, product, quantity=2)


def test_an_order_is_found_by_its_number_and_its_customer(page, guest, product, complaints, take_screenshot):
    name = f"Zoë {secrets.token_hex(4)}"
    body = {
        "items": [{"product_id": product, "quantity": 1}],
        "payment_method": "pm_card_visa",
        "shipping_address": {**ADDRESS, "name": name, "phone": "+1 217 555 0100"},
        "billing_address": {**ADDRESS, "line1": "2 High Street"},
        "email": f"{secrets.token_hex(4)}@example.com",
        "note": "Ring twice.\nThe dog is friendly.",
    }
    placed = guest.post("/orders", json=body, headers={"Idempotency-Key": secrets.token_hex()}).json()
    open_back_office(page, "orders")
    search = page.get_by_role("searchbox", name="Search", exact=True)
    link = page.locator(f"a[href$='{placed['id']}']")
    for words in (
        str(placed["number"]),
        body["email"].upper(),
        name.split()[1],
        f"zoë {name.split()[1][:5]}",
    ):
        search.fill(words)
        search.press("Enter")
        expect(page.get_by_role("row")).to_have_count(2)
        expect(link).to_have_text(str(placed["number"]))
    take_screenshot("admin-orders-found")
    link.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Order {placed['number']}")
    for text in ("+1 217 555 0100", "2 High Street", "The dog is friendly.", body["email"]):
        expect(page.get_by_role("main")).to_contain_text(text)
    take_screenshot("admin-order-contact")
    assert complaints == []


def refund(page: Page, amount: str, *, restock: bool = False) -> None:
    page.get_by_label("Amount in USD").fill(amount)
    if restock:
        page.get_by_label("Return the items to stock").check()
    page.get_by_role("button", name="Refund", exact=True).click()
    confirm(page, f"Refund ${amount}")


def test_an_order_is_found_shipped_and_delivered(page, complaints, take_screenshot, order):
    open_back_office(page, "orders")
    page.get_by_label("Status").select_option("paid")
    page.locator(f"a[href$='{order}']").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("^Order 1[0-9]+$"))
    expect(page.get_by_role("row", name="Test kettle")).to_contain_text("$80.00")
    expect(page.get_by_text("1 Long Lane")).to_be_visible()
    take_screenshot("admin-order")

    page.get_by_role("button", name="Mark as shipped").click()
    confirm(page, "Mark as shipped")
    expect(page.locator(".page-title .badge")).to_have_text("Shipped")
    page.get_by_role("button", name="Mark as delivered").click()
    confirm(page, "Mark as delivered")
    expect(page.locator(".page-title .badge")).to_have_text("Delivered")
    expect(page.get_by_role("listitem").filter(has_text="Order delivered")).to_be_visible()
    assert complaints == []


def test_a_part_is_refunded_and_then_all_that_is_left_with_the_goods(
    page, complaints, take_screenshot, admin, guest
):
    order = place_order(guest, add_product(admin, on_hand=10)["id"], quantity=2)
    open_back_office(page, f"orders/{order}")
    page.get_by_label("Amount in USD").fill("12.50")
    # A partial refund does not return items to stock.
    expect(page.get_by_label("Return the items to stock")).to_be_disabled()
    refund(page, "12.50")
    expect(page.get_by_text("$67.50 available to refund.")).to_be_visible()
    expect(page.locator(".page-title .badge")).to_have_text("Paid")
    take_screenshot("admin-refund-part")

    refund(page, "67.50", restock=True)
    expect(page.locator(".page-title .badge")).to_have_text("Refunded")
    expect(page.get_by_text("This order is fully refunded")).to_be_visible()
    expect(page.get_by_text("Items restocked")).to_be_visible()
    take_screenshot("admin-refund-all")

    known = read_order(admin, order)
    assert (known["status"], known["amount_refunded"]) == ("refunded", 8000)
    assert admin.get(f"/products/{known['items'][0]['product_id']}/stock").json()["on_hand"] == 10
    page.get_by_role("link", name=known["payment"]["id"][-8:]).click()
    expect(page.get_by_role("row", name="Refund")).to_have_count(2)
    expect(page.get_by_role("row", name="Capture")).to_have_count(1)
    assert complaints == []


def lose(route: Route) -> None:
    route.fetch()
    route.abort()


def turn_into_a_fault(route: Route) -> None:
    route.fetch()
    route.fulfill(status=500, json={"status": 500, "code": "internal_error", "detail": "…"})


@pytest.mark.parametrize("spoil", [lose, turn_into_a_fault])
def test_a_refund_whose_answer_was_lost_is_made_once(page, admin, order, spoil: Callable[[Route], None]):
    open_back_office(page, f"orders/{order}")
    page.route("**/refund", spoil, times=1)
    refund(page, "10.00")
    expect(page.get_by_role("alert")).to_contain_text("It is safe to try again")
    with page.expect_response("**/refund") as answer:
        refund(page, "10.00")
    assert answer.value.headers["idempotent-replayed"] == "true"
    expect(page.get_by_text("Refunded $10.00.")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    assert read_order(admin, order)["amount_refunded"] == 1000
    expect(page.get_by_text("$70.00 available to refund.")).to_be_visible()
    # The next refund has a new idempotency key.
    refund(page, "10.00")
    expect(page.get_by_text("$60.00 available to refund.")).to_be_visible()


def test_a_rejected_action_shows_the_reason_and_the_new_status(
    page, complaints, take_screenshot, guest, order
):
    open_back_office(page, f"orders/{order}")
    expect(page.get_by_role("button", name="Mark as shipped")).to_be_visible()
    assert guest.post(f"/orders/{order}/cancel").status_code in {200, 202}
    wait_for(lambda: read_order(guest, order)["status"] == "cancelled")
    page.get_by_role("button", name="Mark as shipped").click()
    confirm(page, "Mark as shipped")
    expect(page.get_by_role("alert")).to_contain_text(
        "The order is cancelled; only a paid order can be shipped."
    )
    expect(page.locator(".page-title .badge")).to_have_text("Cancelled")
    expect(page.get_by_text("Cancelled by customer").first).to_be_visible()
    take_screenshot("admin-order-refusal")
    assert leave_out(complaints, 409) == []


def test_an_order_is_cancelled_only_after_confirmation(page, complaints, admin, order):
    open_back_office(page, f"orders/{order}")
    page.get_by_role("button", name="Cancel order").click()
    confirm(page, "Go back")
    assert read_order(admin, order)["status"] == "paid"
    page.get_by_role("button", name="Cancel order").click()
    confirm(page, "Cancel order")
    expect(page.locator(".page-title .badge")).to_have_text("Cancelled")
    expect(page.get_by_text("Cancelled by admin").first).to_be_visible()
    assert complaints == []


def test_the_page_of_an_order_that_awaits_payment_updates_itself(page, complaints, admin, guest):
    order = place_order(guest, add_product(admin)["id"], card="pm_card_authenticationRequired")
    open_back_office(page, f"orders/{order}")
    expect(page.locator(".page-title .badge")).to_have_text("Awaiting payment")
    payment = read_order(guest, order)["payment"]["id"]
    answer = guest.post(f"/payments/{payment}/confirm", headers={"Idempotency-Key": order}, json={})
    assert answer.status_code == 200, answer.text
    expect(page.locator(".page-title .badge")).to_have_text("Paid", timeout=30_000)
    assert complaints == []


def test_an_update_of_the_order_keeps_the_input_of_the_admin(page, complaints, order):
    is_typed = False

    def forget_the_last_event(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        route.fulfill(response=answer, json=body if is_typed else {**body, "data": body["data"][:-1]})

    # Without the last event the payment is not captured yet, so the page polls.
    page.route("**/events", forget_the_last_event)
    open_back_office(page, f"orders/{order}")
    amount = page.get_by_label("Amount in USD")
    amount.fill("12.50")
    expect(page.get_by_text("Payment captured")).to_have_count(0)
    is_typed = True
    expect(page.get_by_text("Payment captured")).to_be_visible()
    expect(amount).to_have_value("12.50")
    expect(amount).to_be_focused()
    assert complaints == []


def test_the_url_keeps_the_filters_and_the_list_is_paged(page, complaints, take_screenshot, processes, admin):
    with Shopper(processes.url) as buyer:
        assert buyer.post("/auth/guest").status_code == 201
        product = add_product(admin, on_hand=100)["id"]
        orders = place_orders(buyer, product, 32)
        user = buyer.get("/auth/me").json()
    assert admin.post(f"/orders/{orders[0]}/ship").status_code == 200

    open_back_office(page, f"orders?user={user['id']}&status=paid")
    expect(page.get_by_text("First 30 orders")).to_be_visible()
    page.get_by_role("button", name="Show more").click()
    expect(page.get_by_text("31 orders", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()
    take_screenshot("admin-orders")

    # A filter by username finds the same user, and a reload keeps the filters.
    page.get_by_label("User").fill(user["username"])
    page.get_by_label("Status").select_option("shipped")
    expect(page.get_by_text("1 order", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile(f"status=shipped&user={user['username']}"))
    page.reload()
    expect(page.get_by_text("1 order", exact=True)).to_be_visible()
    expect(page.get_by_label("Status")).to_have_value("shipped")

    page.get_by_label("User").fill("no-such-user")
    page.get_by_role("button", name="Apply", exact=True).click()
    expect(page.get_by_text("There is no user named no-such-user.")).to_be_visible()
    page.get_by_role("button", name="Clear filters").click()
    expect(page.get_by_text("First 30 orders")).to_be_visible()
    expect(page).to_have_url(re.compile("#/admin/orders$"))
    assert complaints == []


def test_an_order_links_to_its_trace_in_the_logs(page, complaints, take_screenshot, order):
    open_back_office(page, f"orders/{order}")
    page.get_by_role("link", name="Trace in logs").click()
    expect(page).to_have_url(re.compile(f"#/admin/logs\\?order_id={order}"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Trace of order")

    def is_logged_by_all() -> bool:
        page.reload()
        expect(page.get_by_text("oldest first")).to_be_visible()
        services = set(page.locator(".record-service").all_inner_texts())
        return {"gateway", "orders-service", "catalog-service", "payments-service"} <= services

    # The services send their records at different times.
    wait_for(is_logged_by_all)
    expect(page.locator(".record-message").first).to_be_visible()
    take_screenshot("admin-order-story")
    page.get_by_role("link", name="View order").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("^Order 1[0-9]+$"))
    assert complaints == []
