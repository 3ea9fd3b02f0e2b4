"""The checkout, from the cart to an order."""

import re
import secrets

import pytest
from playwright.sync_api import Request, Route, expect

from tests.browser.back_office import add_product, leave_out
from tests.browser.storefront import CHALLENGED, DECLINED, PATIENCE, Storefront
from tests.stacks import Shopper
from tests.waiting import wait_for

pytestmark = pytest.mark.shop


@pytest.fixture
def other_product(admin: Shopper) -> int:
    """The id of a second product."""
    return int(add_product(admin)["id"])


def test_a_guest_buys_a_product(page, shop, product, complaints, take_screenshot):
    shop.add_to_cart(product)
    shop.open_cart().get_by_role("link", name="Check out").click()
    expect(shop.heading).to_have_text("Checkout")
    expect(page.get_by_role("complementary", name="Order summary")).to_contain_text("Quantity 1")
    shop.fill_in_address()
    page.get_by_label("Email").fill("ada@shop.example")
    take_screenshot("checkout")
    shop.place_order()
    shop.expect_status("Paid")
    expect(shop.heading).to_have_text("Thank you for your order")
    expect(page.get_by_role("region", name="Timeline")).to_contain_text("Payment captured")
    expect(page.get_by_role("region", name="Shipping address")).to_contain_text("Ada Buyer")
    expect(page.get_by_role("region", name="Shipping address")).to_contain_text("ada@shop.example")
    shop.expect_cart(0)
    take_screenshot("order-paid")
    page.get_by_role("main").get_by_role("link", name="Order history").click()
    expect(page.get_by_role("listitem").filter(has_text="Paid")).to_have_count(1)
    assert complaints == []


def test_a_guest_gives_a_billing_address_a_phone_and_a_note(page, shop, product, complaints, take_screenshot):
    shop.add_to_cart(product)
    shop.fill_in_address()
    page.get_by_label("Phone").fill("+1 217 555 0100")
    page.get_by_label("Note to the shop").fill("Ring twice.\nThe dog is friendly.")
    page.get_by_label("The same as the shipping address").uncheck()
    billing = page.get_by_role("group", name="Billing address")
    shop.place_order()
    # The second address is checked as the first one is.
    expect(billing.get_by_label("Name")).to_be_focused()
    billing.get_by_label("Name").fill("Buyer Limited")
    billing.get_by_label("Street address").fill("2 High Street")
    billing.get_by_label("Country").select_option("HK")
    billing.get_by_label("City").fill("")
    billing.get_by_label("State or region").fill("Kowloon")
    take_screenshot("checkout-billing-address")
    # The fields keep what was entered while they are not needed.
    page.get_by_label("The same as the shipping address").check()
    expect(billing.get_by_label("Name")).to_have_count(0)
    page.get_by_label("The same as the shipping address").uncheck()
    expect(billing.get_by_label("Name")).to_have_value("Buyer Limited")
    expect(billing.get_by_label("Country")).to_have_value("HK")
    page.reload()
    expect(billing.get_by_label("Name")).to_have_value("Buyer Limited")
    expect(billing.get_by_label("Country")).to_have_value("HK")
    shop.place_order()
    shop.expect_status("Paid")
    expect(page.get_by_text(re.compile("^Order number 1[0-9]+$"))).to_be_visible()
    expect(page.get_by_role("region", name="Shipping address")).to_contain_text("+1 217 555 0100")
    expect(page.get_by_role("region", name="Billing address")).to_contain_text("Kowloon")
    expect(page.get_by_role("region", name="Your note")).to_contain_text("The dog is friendly.")
    take_screenshot("order-contact")
    assert complaints == []


def test_an_account_keeps_addresses_and_may_leave_out_the_email_address(
    page, shop, product, other_product, complaints, take_screenshot
):
    name, password = f"ada-{secrets.token_hex(4)}", secrets.token_hex(8)
    shop.open("/login")
    shop.register(name, password)
    expect(shop.heading).not_to_have_text("Sign in")
    shop.open("/account")
    book = page.get_by_role("region", name="Addresses")
    expect(book).to_contain_text("None yet.")
    shop.add_to_cart(product)
    shop.fill_in_address()
    page.get_by_label("Email").fill("")
    page.get_by_label("Save this address in my account").check()
    shop.place_order()
    shop.expect_status("Paid")
    shop.add_to_cart(other_product)
    shop.open("/checkout")
    page.get_by_label("Name", exact=True).fill("Another")
    page.get_by_label("Country").select_option("HK")
    page.get_by_label("Use a known address").select_option("0")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Ada Buyer")
    expect(page.get_by_label("Country")).to_have_value("US")
    expect(page.get_by_label("Postal code")).to_have_js_property("required", True)
    take_screenshot("checkout-known-address")
    page.get_by_label("Save this address in my account").check()
    shop.place_order()
    shop.expect_status("Paid")
    shop.open("/account")
    # It was saved once.
    expect(book.get_by_role("listitem")).to_have_count(1)
    expect(book).to_contain_text("1 Long Lane")
    take_screenshot("account-addresses")
    book.get_by_role("button", name="Remove the address 1 Long Lane").click()
    expect(book).to_contain_text("None yet.")
    assert complaints == []


def test_a_total_that_changes_is_shown_before_the_order_is_placed(
    page, shop, admin, complaints, take_screenshot
):
    kettle = add_product(admin)
    shop.add_to_cart(kettle["id"])
    shop.fill_in_address()
    summary = page.get_by_role("complementary", name="Order summary")
    expect(summary).to_contain_text("$40.00")
    changed = {"version": kettle["version"], "unit_amount": 4500}
    assert admin.patch(f"/products/{kettle['id']}", json=changed).status_code == 200
    shop.place_order()
    expect(page.get_by_role("alert")).to_contain_text("The total has changed")
    expect(page.get_by_role("alert")).to_contain_text("$45.00")
    expect(summary.locator(".total")).to_contain_text("$45.00")
    take_screenshot("checkout-amount-changed")
    shop.place_order()
    shop.expect_status("Paid")
    expect(page.get_by_role("main")).to_contain_text("$45.00")
    assert leave_out(complaints, 409) == []


def test_an_empty_field_shows_an_error(page, shop, product, complaints, take_screenshot):
    shop.add_to_cart(product)
    shop.open("/checkout")
    page.get_by_role("button", name="Place order").click()
    name = page.get_by_label("Name", exact=True)
    expect(name).to_be_focused()
    expect(name).to_have_accessible_description("Please fill out this field.")
    expect(page.locator("[aria-invalid=true]")).to_have_count(6)
    take_screenshot("checkout-incomplete")
    name.fill("Ada")
    expect(page.locator("[aria-invalid=true]")).to_have_count(5)
    # A reload keeps the customer's input.
    page.reload()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Ada")
    assert complaints == []


def test_the_country_determines_the_required_fields(page, shop, product, take_screenshot):
    shop.add_to_cart(product)
    shop.fill_in_address()
    page.get_by_label("Country").select_option("HK")
    expect(page.get_by_label("Postal code")).not_to_have_attribute("required", "")
    expect(page.get_by_label("State or region")).to_have_attribute("required", "")
    page.get_by_label("Postal code").fill("")
    page.get_by_label("City").fill("")
    page.get_by_label("State or region").fill("Kowloon")
    take_screenshot("checkout-hong-kong")
    shop.place_order()
    shop.expect_status("Paid")
    expect(page.get_by_role("region", name="Shipping address")).to_contain_text("Kowloon")


def test_a_rejected_value_shows_an_error_at_its_field(page, shop, product):
    shop.add_to_cart(product)
    shop.fill_in_address()
    # The browser accepts this address, and the server does not.
    page.get_by_label("Email").fill("ada@shop")
    shop.place_order()
    expect(page.get_by_label("Email")).to_be_focused()
    expect(page.get_by_label("Email")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Email").fill("ada@shop.example")
    shop.place_order()
    shop.expect_status("Paid")


def test_a_declined_card_costs_nothing_and_another_one_pays(page, shop, product, complaints, take_screenshot):
    shop.buy(product, DECLINED)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Your bank declined the payment")
    expect(alert).to_be_focused()
    take_screenshot("checkout-declined")
    shop.expect_cart(1)
    # Chromium logs each error status.
    assert [each for each in complaints if "402" not in each] == []
    shop.place_order()
    shop.expect_status("Paid")
    shop.expect_cart(0)


def test_the_customer_authenticates_the_payment(page, shop, product, complaints, take_screenshot):
    shop.buy(product, CHALLENGED)
    bank = page.get_by_role("dialog", name="Simulated bank")
    expect(bank).to_be_visible(timeout=PATIENCE)
    take_screenshot("bank")
    # A customer who closes the bank's dialog can open it again.
    page.keyboard.press("Escape")
    expect(bank).to_be_hidden()
    shop.expect_status("Awaiting payment")
    take_screenshot("order-awaiting-payment")
    page.get_by_role("button", name="Confirm with your bank").click()
    bank.get_by_role("button", name="Approve payment").click()
    shop.expect_status("Paid")
    expect(page.get_by_role("region", name="Timeline")).to_contain_text("Bank authentication required")
    shop.expect_cart(0)
    assert complaints == []


def test_the_customer_declines_the_payment_at_the_bank(page, shop, product, take_screenshot):
    shop.buy(product, CHALLENGED)
    page.get_by_role("button", name="Decline payment").click(timeout=PATIENCE)
    shop.expect_status("Cancelled")
    expect(page.get_by_text("Your bank declined the payment. You were not charged.").first).to_be_visible()
    take_screenshot("order-declined-by-bank")
    page.get_by_role("link", name="Return to checkout").click()
    expect(shop.heading).to_have_text("Checkout")
    shop.place_order()
    shop.expect_status("Paid")


def test_items_that_sell_out_during_checkout_are_listed(page, shop, product, admin, take_screenshot):
    scarce = add_product(admin, title=f"Scarce pin {secrets.token_hex(4)}")
    shop.add_to_cart(product)
    shop.add_to_cart(scarce["id"])
    shop.open_cart().get_by_role("button", name=re.compile("^Increase quantity for Scarce pin ")).click()
    page.keyboard.press("Escape")
    shop.expect_cart(3)
    shop.fill_in_address()
    assert admin.put(f"/products/{scarce['id']}/stock", json={"on_hand": 1}).status_code == 200
    shop.place_order()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Not enough in stock", timeout=PATIENCE)
    expect(alert).to_contain_text(f"{scarce['title']}: only 1 left.")
    take_screenshot("checkout-out-of-stock")
    alert.get_by_role("button", name="Set quantity to 1").click()
    shop.expect_cart(2)
    shop.place_order()
    shop.expect_status("Paid")


def test_an_order_is_not_placed_with_a_quantity_that_was_not_saved(page, shop, product, take_screenshot):
    ordered: list[str] = []
    delayed: list[Route] = []

    def delay(route: Route) -> None:
        delayed.append(route)

    page.on("request", lambda request: ordered.append(request.url) if is_order(request) else None)
    shop.add_to_cart(product)
    shop.fill_in_address()
    page.route("**/cart/items/*", delay)
    cart = shop.open_cart()
    with page.expect_request("**/cart/items/*"):
        cart.get_by_role("button", name=re.compile("^Increase quantity for ")).click()
        page.keyboard.press("Escape")
        shop.expect_cart(2)
        shop.place_order()
    # The browser announces a request before it hands it over.
    wait_for(lambda: delayed or page.wait_for_timeout(20))
    delayed[0].fulfill(status=503, json={"status": 503, "code": "unavailable", "detail": "…"})
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Your order was not placed")
    expect(alert).to_be_focused()
    take_screenshot("checkout-quantity-refused")
    shop.expect_cart(1)
    assert ordered == []
    page.unroute_all()
    shop.place_order()
    shop.expect_status("Paid")
    expect(page.get_by_role("region", name="Items")).to_contain_text("Quantity 1")


def is_order(request: Request) -> bool:
    return request.method == "POST" and request.url.endswith("/orders")


def test_a_deleted_product_is_removed_and_a_failure_is_reported(page, shop, admin):
    product = add_product(admin)
    shop.add_to_cart(product["id"])
    assert admin.delete(f"/products/{product['id']}").status_code == 204
    shop.open("/checkout")
    remove = page.get_by_role("complementary").get_by_role("button", name="Remove")
    page.route("**/cart/items/*", lambda route: route.fulfill(status=503, json={"code": "unavailable"}))
    remove.click()
    expect(shop.toasts).to_contain_text(
        f"Could not remove {product['title']}. Something went wrong on our side."
    )
    page.unroute_all()
    remove.click()
    expect(page.get_by_role("heading", name="Your cart is empty")).to_be_visible()
    expect(shop.toasts.get_by_role("button", name="Undo")).to_be_visible()


def test_an_item_from_another_window_is_shown_before_it_is_ordered(page, shop, product, other_product):
    shop.add_to_cart(product)
    shop.fill_in_address()
    page.evaluate(
        """(id) => fetch(`/cart/items/${id}`, {method: "PUT", headers: {"Content-Type": "application/json"},
                                              body: '{"quantity": 1}'})""",
        other_product,
    )
    shop.place_order()
    expect(page.get_by_role("alert")).to_contain_text("Your cart has changed")
    shop.expect_cart(2)
    shop.place_order()
    shop.expect_status("Paid")


def test_a_cart_that_was_ordered_in_another_window_is_not_ordered_again(page, shop, product):
    shop.add_to_cart(product)
    shop.fill_in_address()
    other = Storefront(page.context.new_page())
    other.fill_in_address()
    other.place_order()
    other.expect_status("Paid")
    shop.place_order()
    expect(page.get_by_role("heading", name="Your cart is empty")).to_be_visible()
    shop.open("/orders")
    expect(page.locator(".order-row")).to_have_count(1)


def test_a_cart_whose_order_awaits_payment_is_not_ordered_twice(page, shop, product, take_screenshot):
    shop.buy(product, CHALLENGED)
    expect(page.get_by_role("dialog", name="Simulated bank")).to_be_visible(timeout=PATIENCE)
    page.keyboard.press("Escape")
    shop.expect_cart(1)
    shop.fill_in_address()
    shop.place_order()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("You already ordered this cart")
    take_screenshot("checkout-ordered-already")
    alert.get_by_role("link", name="View order").click()
    shop.expect_status("Awaiting payment")


@pytest.fixture
def lost(page) -> list[int]:
    """The status of the first order's response, which the page does not receive."""
    statuses: list[int] = []

    def lose(route: Route) -> None:
        if route.request.method != "POST" or statuses:
            route.continue_()
            return
        # The shop has placed the order, and the page gets no response.
        statuses.append(route.fetch().status)
        route.abort("connectionreset")

    page.route("**/orders", lose)
    return statuses


def test_an_order_whose_response_was_lost_is_not_placed_twice(page, shop, product, lost, take_screenshot):
    shop.buy(product)
    expect(page.get_by_role("alert")).to_contain_text("No response from the shop", timeout=PATIENCE)
    take_screenshot("checkout-no-answer")
    shop.place_order()
    shop.expect_status("Paid")
    assert lost == [201]
    shop.open("/orders")
    expect(page.locator(".order-row")).to_have_count(1)


def test_an_order_whose_response_was_lost_is_not_placed_twice_with_another_address(page, shop, product, lost):
    shop.buy(product)
    expect(page.get_by_role("alert")).to_contain_text("No response from the shop", timeout=PATIENCE)
    page.get_by_label("City").fill("Shelbyville")
    shop.place_order()
    expect(shop.toasts).to_contain_text("We already received this order")
    expect(shop.heading).to_have_text("Order history")
    expect(page.locator(".order-row")).to_have_count(1)
    assert lost == [201]


def test_a_new_cart_is_not_mistaken_for_the_order_whose_response_was_lost(
    page, shop, product, other_product, lost
):
    shop.buy(product)
    expect(page.get_by_role("alert")).to_contain_text("No response from the shop", timeout=PATIENCE)
    shop.add_to_cart(other_product)
    shop.fill_in_address()
    shop.place_order()
    expect(shop.toasts).to_contain_text("We already received this order")
    shop.expect_cart(1)
    shop.fill_in_address()
    shop.place_order()
    shop.expect_status("Paid")
    shop.open("/orders")
    expect(page.locator(".order-row")).to_have_count(2)
    assert lost == [201]
