"""The shop while a part of it does not answer: what is said, what still works, and that nothing is lost."""

import pytest
from playwright.sync_api import expect

from tests.browser.storefront import PATIENCE, paused

pytestmark = pytest.mark.shop

PRODUCT = 23


def test_without_payments_the_checkout_says_so_and_the_order_is_finished_afterwards(
    page, shop, processes, take_screenshot
):
    shop.put_into_cart(PRODUCT)
    with paused(processes, "payments-service"):
        shop.fill_in_address()
        expect(page.get_by_text("The payment service does not answer just now.")).to_be_visible(
            timeout=PATIENCE
        )
        take_screenshot("outage-payments-checkout")
        shop.place_order()
        shop.expect_status("In progress")
        expect(page.get_by_text("Your cart is kept until then.")).to_be_visible(timeout=PATIENCE)
        shop.expect_cart(1)
        take_screenshot("outage-payments-order")
    # Nobody touches the page.
    expect(page.locator("main header .badge")).to_have_text("Paid", timeout=3 * PATIENCE)
    shop.expect_cart(0)


def test_an_order_that_waits_for_payments_can_be_cancelled_and_placed_again(page, shop, processes):
    shop.put_into_cart(PRODUCT)
    shop.fill_in_address()
    with paused(processes, "payments-service"):
        shop.place_order()
        shop.expect_status("In progress")
        page.get_by_role("button", name="Cancel the order").click()
        page.get_by_role("dialog").get_by_role("button", name="Cancel the order").click()
        expect(page.get_by_text("The order is being cancelled").first).to_be_visible(timeout=PATIENCE)
    expect(page.locator("main header .badge")).to_have_text("Cancelled", timeout=3 * PATIENCE)
    page.get_by_role("link", name="Back to the checkout").click()
    shop.place_order()
    shop.expect_status("Paid")


def test_without_orders_people_look_around_and_the_cart_is_there_afterwards(page, shop, processes):
    shop.put_into_cart(PRODUCT)
    processes.kill("orders-service")
    shop.open("/?category=garden")
    expect(shop.cards).to_have_count(12)
    shop.open("/products/4")
    shop.expect_cart(1)
    with page.expect_response(
        lambda response: "/cart" in response.url and response.status == 200, timeout=PATIENCE
    ):
        page.reload()
    shop.expect_cart(1)


def test_while_orders_do_not_answer_the_cart_says_so_and_can_be_tried_again(page, shop, take_screenshot):
    shop.put_into_cart(PRODUCT)
    # What the gateway says when no replica answers.
    problem = {"status": 503, "code": "unavailable", "detail": "…", "request_id": "0123456789abcdef"}
    page.route("**/cart", lambda route: route.fulfill(status=503, json=problem))
    page.route("**/cart/items/*", lambda route: route.fulfill(status=503, json=problem))
    page.reload()
    page.get_by_role("button", name="Put into the cart", exact=True).click()
    expect(shop.toasts).to_contain_text("Not put into the cart.")
    cart = shop.open_cart()
    expect(cart.get_by_role("alert")).to_contain_text("This part of the shop does not answer just now.")
    take_screenshot("outage-cart")
    page.unroute_all()
    cart.get_by_role("button", name="Try again").click()
    expect(cart).to_contain_text("Total, 1 item")


def test_while_the_catalogue_does_not_answer_there_is_a_panel_and_the_cart_has_no_prices(
    page, shop, processes, take_screenshot
):
    shop.put_into_cart(PRODUCT)
    replicas = [name for name in processes.list_replicas() if name.startswith("catalog-service")]
    for replica in replicas:
        processes.pause(replica)
    try:
        page.goto("/#/?q=something+that+nobody+has+asked+for")
        expect(page.get_by_role("heading", name="That did not work")).to_be_visible(timeout=3 * PATIENCE)
        take_screenshot("outage-catalogue")
        cart = shop.open_cart()
        expect(cart).to_contain_text("Prices are not known just now.", timeout=3 * PATIENCE)
        take_screenshot("outage-catalogue-cart")
        page.keyboard.press("Escape")
    finally:
        for replica in replicas:
            processes.resume(replica)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="Nothing found")).to_be_visible(timeout=PATIENCE)
    expect(shop.open_cart()).to_contain_text("$")


def test_without_a_connection_the_page_says_so_and_comes_back(page, shop, take_screenshot):
    shop.open()
    page.context.set_offline(True)
    page.get_by_label("Sort by").select_option("price")
    expect(page.get_by_text("The shop cannot be reached just now.")).to_be_visible()
    take_screenshot("outage-connection")
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(shop.cards).to_have_count(24)


def test_a_page_whose_scripts_do_not_come_says_so_by_itself(page, take_screenshot):
    page.route("**/assets/lib/dom.js", lambda route: route.abort("connectionreset"))
    page.goto("/")
    expect(page.get_by_role("heading", name="This takes longer than usual")).to_be_visible()
    take_screenshot("outage-scripts")
    page.unroute_all()
    page.get_by_role("link", name="Load it again").click()
    expect(page.locator(".product-card")).to_have_count(24)
