"""The shop while some services are down: its messages, the remaining functions, and no lost data.

Also tests that affect a whole shop: its only admin, its product source, the limit of live tails.
"""

import re
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.back_office import (
    confirm,
    enter,
    leave_out,
    open_back_office,
    open_user,
    place_order,
)
from tests.browser.conftest import open_context
from tests.browser.storefront import PATIENCE, paused
from tests.stacks import ProcessStack
from tests.waiting import wait_for

pytestmark = [pytest.mark.shop, pytest.mark.xdist_group("breakable")]

# Milliseconds. The gateway waits 15 s for a paused service.
LONG = 3 * PATIENCE


@pytest.fixture(scope="module")
def running(breakable: ProcessStack) -> ProcessStack:
    """A shop that no other worker uses."""
    return breakable


def test_without_payments_and_logs_customers_order_and_admins_read(
    page, shop, browser: Browser, running, product, guest, complaints, take_screenshot
):
    """The pages share one outage, because the gateway needs 15 s to time out."""
    paid = place_order(guest, product)
    shop.add_to_cart(product)
    with open_context(browser, running.url) as desk:
        back_office, overview = desk.new_page(), desk.new_page()
        enter(back_office)
        with paused(running, "payments-service", "logs-service"):
            back_office.goto(f"/#/admin/orders/{paid}")
            overview.goto("/#/admin")

            shop.fill_in_address()
            expect(page.get_by_text("Payments are temporarily unavailable.")).to_be_visible()
            take_screenshot("outage-payments-checkout")
            shop.place_order()
            shop.expect_status("Pending")
            expect(page.get_by_text("Your cart is kept until then.")).to_be_visible()
            shop.expect_cart(1)
            take_screenshot("outage-payments-order")

            timeline = back_office.get_by_role("region", name="Timeline")
            expect(timeline).to_contain_text("Payment captured")
            expect(back_office.get_by_role("button", name="Mark as shipped")).to_be_visible()
            payment = back_office.get_by_role("region", name="Payment")
            alert = payment.get_by_role("alert")
            expect(alert).to_contain_text("Something went wrong on our side", timeout=LONG)

            expect(overview.get_by_role("region", name="Stock")).to_contain_text("sold out")
            expect(overview.get_by_role("region", name="Open orders")).to_contain_text("to ship")
            errors = overview.get_by_role("region", name="Errors in the last hour")
            expect(errors.get_by_role("alert")).to_be_visible(timeout=LONG)
            services = overview.get_by_role("region", name="Services")
            expect(services.get_by_text("Down", exact=True)).to_have_count(2, timeout=LONG)
            expect(services.get_by_text("Healthy")).to_have_count(3)
        # The page polls without a reload.
        expect(page.locator("main header .badge")).to_have_text("Paid", timeout=LONG)
        shop.expect_cart(0)
        payment.get_by_role("button", name="Try again").click()
        expect(payment).to_contain_text("Captured")
        errors.get_by_role("button", name="Try again").click()
        expect(errors).to_contain_text("warnings")
    assert leave_out(complaints, 502, 503, 504) == []


def test_an_order_that_waits_for_payments_can_be_cancelled_and_placed_again(page, shop, running, product):
    shop.add_to_cart(product)
    shop.fill_in_address()
    with paused(running, "payments-service"):
        shop.place_order()
        shop.expect_status("Pending")
        page.get_by_role("button", name="Cancel order").click()
        page.get_by_role("dialog").get_by_role("button", name="Cancel order").click()
        expect(page.get_by_text("Cancellation requested").first).to_be_visible(timeout=PATIENCE)
    expect(page.locator("main header .badge")).to_have_text("Cancelled", timeout=LONG)
    page.get_by_role("link", name="Return to checkout").click()
    shop.place_order()
    shop.expect_status("Paid")


def test_without_orders_service_customers_browse_and_keep_their_cart(page, shop, running, product):
    shop.add_to_cart(product)
    running.kill("orders-service")
    shop.open("/?category=garden")
    expect(shop.cards).to_have_count(12)
    shop.open("/products/4")
    shop.expect_cart(1)
    with page.expect_response(
        lambda response: "/cart" in response.url and response.status == 200, timeout=PATIENCE
    ):
        page.reload()
    shop.expect_cart(1)


@pytest.mark.long
def test_without_catalog_service_the_shop_shows_an_error_and_the_cart_has_no_prices(
    page, shop, running, product, take_screenshot
):
    shop.add_to_cart(product)
    with paused(running, "catalog-service"):
        page.goto("/#/?q=an+uncached+search")
        expect(page.get_by_role("heading", name="Unable to load")).to_be_visible(timeout=LONG)
        take_screenshot("outage-catalogue")
        cart = shop.open_cart()
        expect(cart).to_contain_text("Prices are temporarily unavailable.", timeout=LONG)
        take_screenshot("outage-catalogue-cart")
        page.keyboard.press("Escape")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="No results")).to_be_visible(timeout=PATIENCE)
    expect(shop.open_cart()).to_contain_text("$")


def test_a_disconnected_tail_reconnects_without_missing_records(page, running, product, guest):
    open_back_office(page, "logs/live?service=orders-service&q=POST")
    expect(page.get_by_text("Following.")).to_be_visible()
    placed = page.locator(".record").filter(has_text="POST /orders 201")
    place_order(guest, product)
    expect(placed).to_have_count(1)
    running.kill("logs-service")
    place_order(guest, product)
    expect(placed).to_have_count(2)
    expect(page.get_by_text("Following.")).to_be_visible()


def test_a_tail_over_the_limit_waits_for_a_free_connection(
    page, complaints, take_screenshot, admin, product, guest
):
    with ExitStack() as others:
        taken = []

        def take_a_place() -> bool:
            stream = admin.get("/logs/stream", stream=True)
            if stream.status_code == 200:
                taken.append(others.enter_context(stream))
            return len(taken) == 4

        # The service notices the closed tail of the previous test when it writes this order to it.
        place_order(guest, product)
        wait_for(take_a_place)
        open_back_office(page, "logs/live")
        expect(page.get_by_text("The limit of live connections is reached.")).to_be_visible()
        take_screenshot("admin-logs-taken")
    expect(page.get_by_text("Following.")).to_be_visible(timeout=PATIENCE)
    assert leave_out(complaints, 503) == []


def test_the_last_admin_cannot_be_disabled(page, complaints, take_screenshot, admin):
    assert len(admin.get("/auth/users", params={"role": "admin", "disabled": False}).json()["data"]) == 1
    open_user(page, "admin")
    page.get_by_role("button", name="Disable account").click()
    expect(page.get_by_role("dialog")).to_contain_text("This is your own account")
    confirm(page, "Disable")
    expect(page.get_by_role("alert")).to_contain_text("This is the last admin who can log in")
    expect(page.locator(".page-title .badge")).to_have_text("Active")
    take_screenshot("admin-last-admin")
    assert leave_out(complaints, 409) == []


def test_a_sync_of_the_product_source_shows_its_report(page, complaints, take_screenshot):
    open_back_office(page, "products/source")
    report = page.get_by_role("region", name="Last sync")
    expect(report).to_contain_text("Done")
    page.get_by_role("button", name="Sync now").click()
    expect(page.get_by_text("Sync complete.")).to_be_visible()
    expect(report).to_contain_text(re.compile("Removed.*0", re.DOTALL))
    take_screenshot("admin-source")
    assert complaints == []


@pytest.mark.parametrize("file", ["admin/product.js", "admin/variants-table.js"])
def test_a_view_whose_code_a_network_change_cut_off_loads_at_the_second_attempt(page, file):
    """Chromium cancels all requests when a network interface of the machine comes or goes."""
    cut = []

    def cut_once(route):
        if cut:
            route.continue_()
        else:
            cut.append(route.request.url)
            route.abort("connectionreset")

    page.route(f"**/assets/{file}", cut_once)
    open_back_office(page, "products/1")
    expect(page.get_by_role("heading", name="Details")).to_be_visible()
    assert cut
