"""Orders: their events as they happen, how they are cancelled, and the list of all of them."""

import pytest
from playwright.sync_api import expect

from tests.browser.back_office import ADDRESS
from tests.browser.storefront import ASKED, PATIENCE, Storefront

pytestmark = pytest.mark.shop

MINUTE = 60_000


def test_an_order_is_followed_until_it_has_arrived(page, shop, product, admin, complaints, take_screenshot):
    shop.buy(product)
    shop.expect_status("Paid")
    assert admin.post(f"/orders/{shop.order_id}/ship").status_code == 200
    # A reload shows the newest state at once.
    page.reload()
    shop.expect_status("Shipped")
    expect(page.get_by_role("button", name="Cancel the order")).to_have_count(0)
    assert admin.post(f"/orders/{shop.order_id}/deliver").status_code == 200
    # No one touches the page; it looks again by itself.
    shop.expect_status("Delivered")
    expect(page.locator("#announcer")).to_have_text("The order is now: Delivered.")
    expect(page.get_by_role("region", name="What happened").get_by_role("listitem").last).to_contain_text(
        "The parcel has arrived"
    )
    take_screenshot("order-delivered")
    assert complaints == []


def test_an_order_is_followed_on_when_the_bank_asks_nothing_any_more(page, shop, product, complaints):
    shop.buy(product, ASKED)
    bank = page.get_by_role("dialog", name="Simulated bank")
    expect(bank).to_be_visible(timeout=PATIENCE)
    page.keyboard.press("Escape")
    expect(bank).to_be_hidden()
    # As if it had been answered on another device, and the order did not know yet.
    page.route(
        "**/payments/*", lambda route: route.fulfill(json={**route.fetch().json(), "status": "processing"})
    )
    with page.expect_response("**/payments/*"):
        page.get_by_role("button", name="Go to the bank").click()
    payment = page.request.get(f"/orders/{shop.order_id}").json()["payment"]["id"]
    told = page.request.post(
        f"/payments/{payment}/confirm", data={"outcome": "approved"}, headers={"Idempotency-Key": payment}
    )
    assert told.ok, told.text()
    shop.expect_status("Paid")
    expect(bank).to_be_hidden()
    assert complaints == []


def test_a_page_that_was_left_does_not_ask_after_its_order_any_more(make_page, product):
    page = make_page()
    # The page's own clock, so that the minutes in which it would look again pass at once.
    page.clock.install()
    shop = Storefront(page)
    shop.buy(product)
    shop.expect_status("Paid")
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/events" in request.url else None)
    with page.expect_request("**/events"):
        page.clock.run_for(MINUTE)
    shop.open("/login")
    asked.clear()
    page.clock.run_for(5 * MINUTE)
    # An answer that comes later than any that the page would have asked for.
    page.evaluate("fetch('/assets/icon.svg').then((answer) => answer.text())")
    assert asked == []


def test_an_order_is_cancelled_after_a_question(page, shop, product, complaints, take_screenshot):
    shop.buy(product)
    shop.expect_status("Paid")
    cancel = page.get_by_role("button", name="Cancel the order")
    cancel.click()
    dialog = page.get_by_role("dialog", name="Cancel this order?")
    expect(dialog.get_by_role("button", name="Keep it as it is")).to_be_focused()
    take_screenshot("order-cancel-question")
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(cancel).to_be_focused()
    shop.expect_status("Paid")
    cancel.click()
    dialog.get_by_role("button", name="Cancel the order").click()
    shop.expect_status("Cancelled")
    expect(page.get_by_text("You cancelled it.").first).to_be_visible()
    take_screenshot("order-cancelled")
    assert complaints == []


def test_all_orders_are_listed_page_by_page(page, shop, product, complaints, take_screenshot):
    shop.open("/orders")
    expect(page.get_by_role("heading", name="No orders yet")).to_be_visible()
    take_screenshot("orders-none")
    # By the API, with the cookie of the page.
    for number in range(21):
        order = {
            "items": [{"product_id": product, "quantity": 1}],
            "payment_method": "pm_card_visa",
            "shipping_address": ADDRESS,
        }
        placed = page.request.post("/orders", data=order, headers={"Idempotency-Key": f"order-{number}"})
        assert placed.status in {201, 202}, placed.text()
    page.reload()
    rows = page.locator(".order-row")
    expect(rows).to_have_count(20)
    take_screenshot("orders")
    page.get_by_role("button", name="Show more").click()
    expect(rows).to_have_count(21)
    expect(rows.last.get_by_role("link")).to_be_focused()
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()
    rows.last.get_by_role("link").click()
    expect(shop.heading).to_contain_text("Order of")
    assert complaints == []


def test_an_order_that_does_not_exist_is_not_there(page, shop, take_screenshot):
    shop.open("/orders")
    page.goto("/#/orders/00000000-0000-7000-8000-000000000000")
    expect(page.get_by_role("heading", name="This is not here")).to_be_visible()
    take_screenshot("order-not-there")
