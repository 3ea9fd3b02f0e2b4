"""Orders: live updates, cancellation and the order history."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.back_office import ADDRESS, leave_out, place_order, register
from tests.browser.storefront import CHALLENGED, PATIENCE, Storefront
from tests.stacks import Shopper

pytestmark = pytest.mark.shop

MINUTE = 60_000


def test_the_page_of_an_order_updates_until_delivery(page, shop, product, admin, complaints, take_screenshot):
    shop.buy(product)
    shop.expect_status("Paid")
    assert admin.post(f"/orders/{shop.order_id}/ship").status_code == 200
    # A reload shows the current status at once.
    page.reload()
    shop.expect_status("Shipped")
    expect(page.get_by_role("button", name="Cancel order")).to_have_count(0)
    assert admin.post(f"/orders/{shop.order_id}/deliver").status_code == 200
    # The page polls without a reload.
    shop.expect_status("Delivered")
    expect(page.locator("#announcer")).to_have_text("Order status: Delivered.")
    expect(page.get_by_role("region", name="Timeline").get_by_role("listitem").last).to_contain_text(
        "Order delivered"
    )
    take_screenshot("order-delivered")
    assert complaints == []


def test_the_link_of_a_mail_asks_a_signed_out_customer_to_sign_in(
    page, shop, product, running, complaints, take_screenshot
):
    with Shopper(running.url) as customer:
        assert customer.post("/auth/guest").status_code == 201
        name = register(customer)
        order = place_order(customer, product)
    page.goto(f"/#/orders/{order}")
    expect(shop.heading).to_have_text("This order is not shown here")
    expect(page.get_by_role("main")).to_contain_text("If you ordered without an account")
    take_screenshot("order-signed-out")
    page.get_by_role("main").get_by_role("link", name="Sign in", exact=True).click()
    shop.sign_in(name, "correct horse battery")
    shop.expect_status("Paid")
    expect(page).to_have_url(re.compile(f"#/orders/{order}$"))
    assert leave_out(complaints, 404) == []


def test_the_page_follows_an_order_whose_payment_needs_no_authentication_any_more(
    page, shop, product, complaints
):
    shop.buy(product, CHALLENGED)
    bank = page.get_by_role("dialog", name="Simulated bank")
    expect(bank).to_be_visible(timeout=PATIENCE)
    page.keyboard.press("Escape")
    expect(bank).to_be_hidden()
    # Simulate an authentication on another device that has not reached the order yet.
    page.route(
        "**/payments/*", lambda route: route.fulfill(json={**route.fetch().json(), "status": "processing"})
    )
    with page.expect_response("**/payments/*"):
        page.get_by_role("button", name="Confirm with your bank").click()
    payment = page.request.get(f"/orders/{shop.order_id}").json()["payment"]["id"]
    confirmed = page.request.post(
        f"/payments/{payment}/confirm", data={"outcome": "approved"}, headers={"Idempotency-Key": payment}
    )
    assert confirmed.ok, confirmed.text()
    shop.expect_status("Paid")
    expect(bank).to_be_hidden()
    assert complaints == []


def test_a_page_stops_polling_its_order_when_the_customer_leaves(make_page, product):
    page = make_page()
    # A fake clock lets the minutes until the next poll pass at once.
    page.clock.install()
    shop = Storefront(page)
    shop.buy(product)
    shop.expect_status("Paid")
    polls = []
    page.on("request", lambda request: polls.append(request.url) if "/events" in request.url else None)
    with page.expect_request("**/events"):
        page.clock.run_for(MINUTE)
    shop.open("/login")
    polls.clear()
    page.clock.run_for(5 * MINUTE)
    # This request ends after any poll that the page would have started.
    page.evaluate("fetch('/assets/icon.svg').then((answer) => answer.text())")
    assert polls == []


def test_an_order_is_cancelled_only_after_confirmation(page, shop, product, complaints, take_screenshot):
    shop.buy(product)
    shop.expect_status("Paid")
    cancel = page.get_by_role("button", name="Cancel order")
    cancel.click()
    dialog = page.get_by_role("dialog", name="Cancel this order?")
    expect(dialog.get_by_role("button", name="Go back")).to_be_focused()
    take_screenshot("order-cancel-question")
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(cancel).to_be_focused()
    shop.expect_status("Paid")
    cancel.click()
    dialog.get_by_role("button", name="Cancel order").click()
    shop.expect_status("Cancelled")
    expect(page.get_by_text("You cancelled this order.").first).to_be_visible()
    take_screenshot("order-cancelled")
    assert complaints == []


def test_all_orders_are_listed_page_by_page(page, shop, product, complaints, take_screenshot):
    shop.open("/orders")
    expect(page.get_by_role("heading", name="No orders yet")).to_be_visible()
    take_screenshot("orders-none")
    # Through the API, with the cookie of the page.
    for number in range(21):
        order = {
            "items": [{"product_id": product, "quantity": 1}],
            "payment_method": "pm_card_visa",
            "shipping_address": ADDRESS,
            "email": "ada@example.com",
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
    expect(shop.heading).to_contain_text("Order placed")
    assert complaints == []


def test_an_unknown_order_is_not_found(page, shop, take_screenshot):
    shop.open("/orders")
    page.goto("/#/orders/00000000-0000-7000-8000-000000000000")
    expect(page.get_by_role("heading", name="This order is not shown here")).to_be_visible()
    take_screenshot("order-not-there")
