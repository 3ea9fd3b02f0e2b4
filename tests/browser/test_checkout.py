"""From the cart to an order, and all that can come between."""

import re
import secrets

import pytest
from playwright.sync_api import Request, Route, expect

from tests.browser.back_office import add_product
from tests.browser.storefront import ASKED, DECLINED, PATIENCE, Storefront
from tests.stacks import Shopper

pytestmark = pytest.mark.shop


@pytest.fixture
def other_product(admin: Shopper) -> int:
    """The id of a second product."""
    return int(add_product(admin)["id"])


def test_a_guest_buys_something(page, shop, product, complaints, take_screenshot):
    shop.put_into_cart(product)
    shop.open_cart().get_by_role("link", name="Check out").click()
    expect(shop.heading).to_have_text("Checkout")
    expect(page.get_by_role("complementary", name="Your order")).to_contain_text("Quantity 1")
    shop.fill_in_address()
    page.get_by_label("E-mail").fill("ada@shop.example")
    take_screenshot("checkout")
    shop.place_order()
    shop.expect_status("Paid")
    expect(shop.heading).to_have_text("Thank you for your order")
    expect(page.get_by_role("region", name="What happened")).to_contain_text("The payment was taken")
    expect(page.get_by_role("region", name="Where it goes")).to_contain_text("Ada Buyer")
    expect(page.get_by_role("region", name="Where it goes")).to_contain_text("ada@shop.example")
    shop.expect_cart(0)
    take_screenshot("order-paid")
    page.get_by_role("main").get_by_role("link", name="Your orders").click()
    expect(page.get_by_role("listitem").filter(has_text="Paid")).to_have_count(1)
    assert complaints == []


def test_an_empty_field_is_named_beside_it(page, shop, product, complaints, take_screenshot):
    shop.put_into_cart(product)
    shop.open("/checkout")
    page.get_by_role("button", name="Place the order").click()
    name = page.get_by_label("Name", exact=True)
    expect(name).to_be_focused()
    expect(name).to_have_accessible_description("Please fill out this field.")
    expect(page.locator("[aria-invalid=true]")).to_have_count(5)
    take_screenshot("checkout-incomplete")
    name.fill("Ada")
    expect(page.locator("[aria-invalid=true]")).to_have_count(4)
    # A reload keeps what the customer has typed.
    page.reload()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Ada")
    assert complaints == []


def test_the_country_decides_what_must_be_filled_in(page, shop, product, take_screenshot):
    shop.put_into_cart(product)
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
    expect(page.get_by_role("region", name="Where it goes")).to_contain_text("Kowloon")


def test_a_refused_value_is_named_beside_its_field(page, shop, product):
    shop.put_into_cart(product)
    shop.fill_in_address()
    # A browser takes this for an address, and the shop does not.
    page.get_by_label("E-mail").fill("ada@shop")
    shop.place_order()
    expect(page.get_by_label("E-mail")).to_be_focused()
    expect(page.get_by_label("E-mail")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("E-mail").fill("ada@shop.example")
    shop.place_order()
    shop.expect_status("Paid")


def test_a_declined_card_costs_nothing_and_another_one_pays(page, shop, product, complaints, take_screenshot):
    shop.buy(product, DECLINED)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("The bank declined the payment")
    expect(alert).to_be_focused()
    take_screenshot("checkout-declined")
    shop.expect_cart(1)
    # Chromium itself notes each refusal.
    assert [each for each in complaints if "402" not in each] == []
    shop.place_order()
    shop.expect_status("Paid")
    shop.expect_cart(0)


def test_the_bank_asks_and_is_answered(page, shop, product, complaints, take_screenshot):
    shop.buy(product, ASKED)
    bank = page.get_by_role("dialog", name="Simulated bank")
    expect(bank).to_be_visible(timeout=PATIENCE)
    take_screenshot("bank")
    # A customer who closes the bank's page finds the way back to it.
    page.keyboard.press("Escape")
    expect(bank).to_be_hidden()
    shop.expect_status("Waiting for your bank")
    take_screenshot("order-awaiting-payment")
    page.get_by_role("button", name="Go to the bank").click()
    bank.get_by_role("button", name="Yes, approve it").click()
    shop.expect_status("Paid")
    expect(page.get_by_role("region", name="What happened")).to_contain_text("Your bank asks you")
    shop.expect_cart(0)
    assert complaints == []


def test_the_bank_is_told_no(page, shop, product, take_screenshot):
    shop.buy(product, ASKED)
    page.get_by_role("button", name="No, decline it").click(timeout=PATIENCE)
    shop.expect_status("Cancelled")
    expect(page.get_by_text("The bank declined the payment. Nothing was charged.").first).to_be_visible()
    take_screenshot("order-declined-by-bank")
    page.get_by_role("link", name="Back to the checkout").click()
    expect(shop.heading).to_have_text("Checkout")
    shop.place_order()
    shop.expect_status("Paid")


def test_goods_that_are_gone_at_the_last_moment_are_named(page, shop, product, admin, take_screenshot):
    scarce = add_product(admin, title=f"Scarce pin {secrets.token_hex(4)}")
    shop.put_into_cart(product)
    shop.put_into_cart(scarce["id"])
    shop.open_cart().get_by_role("button", name=re.compile("^One Scarce pin .* more$")).click()
    page.keyboard.press("Escape")
    shop.expect_cart(3)
    shop.fill_in_address()
    assert admin.put(f"/products/{scarce['id']}/stock", json={"on_hand": 1}).status_code == 200
    shop.place_order()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("There is not enough left", timeout=PATIENCE)
    expect(alert).to_contain_text(f"{scarce['title']}: only 1 left.")
    take_screenshot("checkout-out-of-stock")
    alert.get_by_role("button", name="Take 1").click()
    shop.expect_cart(2)
    shop.place_order()
    shop.expect_status("Paid")


def test_an_order_is_not_placed_with_a_quantity_that_was_refused(page, shop, product, take_screenshot):
    ordered: list[str] = []
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.on("request", lambda request: ordered.append(request.url) if is_order(request) else None)
    shop.put_into_cart(product)
    shop.fill_in_address()
    page.route("**/cart/items/*", hold)
    cart = shop.open_cart()
    with page.expect_request("**/cart/items/*"):
        cart.get_by_role("button", name=re.compile("^One .* more$")).click()
        page.keyboard.press("Escape")
        shop.expect_cart(2)
        shop.place_order()
    held[0].fulfill(status=503, json={"status": 503, "code": "unavailable", "detail": "…"})
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("The order was not placed")
    expect(alert).to_be_focused()
    take_screenshot("checkout-quantity-refused")
    shop.expect_cart(1)
    assert ordered == []
    page.unroute_all()
    shop.place_order()
    shop.expect_status("Paid")
    expect(page.get_by_role("region", name="What you ordered")).to_contain_text("Quantity 1")


def is_order(request: Request) -> bool:
    return request.method == "POST" and request.url.endswith("/orders")


def test_a_product_that_is_off_sale_is_removed_and_a_failure_is_said(page, shop, admin):
    product = add_product(admin)
    shop.put_into_cart(product["id"])
    assert admin.delete(f"/products/{product['id']}").status_code == 204
    shop.open("/checkout")
    remove = page.get_by_role("complementary").get_by_role("button", name="Remove")
    page.route("**/cart/items/*", lambda route: route.fulfill(status=503, json={"code": "unavailable"}))
    remove.click()
    expect(shop.toasts).to_contain_text("was not removed. This part of the shop does not answer just now.")
    page.unroute_all()
    remove.click()
    expect(page.get_by_role("heading", name="Your cart is empty")).to_be_visible()
    expect(shop.toasts.get_by_role("button", name="Undo")).to_be_visible()


def test_an_item_from_another_window_is_shown_before_it_is_ordered(page, shop, product, other_product):
    shop.put_into_cart(product)
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


def test_a_cart_that_another_window_has_ordered_is_not_ordered_again(page, shop, product):
    shop.put_into_cart(product)
    shop.fill_in_address()
    other = Storefront(page.context.new_page())
    other.fill_in_address()
    other.place_order()
    other.expect_status("Paid")
    shop.place_order()
    expect(page.get_by_role("heading", name="Your cart is empty")).to_be_visible()
    shop.open("/orders")
    expect(page.locator(".order-row")).to_have_count(1)


def test_a_cart_whose_order_waits_for_the_bank_is_not_ordered_twice(page, shop, product, take_screenshot):
    shop.buy(product, ASKED)
    expect(page.get_by_role("dialog", name="Simulated bank")).to_be_visible(timeout=PATIENCE)
    page.keyboard.press("Escape")
    shop.expect_cart(1)
    shop.fill_in_address()
    shop.place_order()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("This cart was ordered already")
    take_screenshot("checkout-ordered-already")
    alert.get_by_role("link", name="See the order").click()
    shop.expect_status("Waiting for your bank")


@pytest.fixture
def lost(page) -> list[int]:
    """The statuses of answers that were lost on their way: that of the first order."""
    statuses: list[int] = []

    def lose(route: Route) -> None:
        if route.request.method != "POST" or statuses:
            route.continue_()
            return
        # The shop has placed the order, and the page does not hear of it.
        statuses.append(route.fetch().status)
        route.abort("connectionreset")

    page.route("**/orders", lose)
    return statuses


def test_an_order_whose_answer_was_lost_is_not_placed_twice(page, shop, product, lost, take_screenshot):
    shop.buy(product)
    expect(page.get_by_role("alert")).to_contain_text("There was no answer", timeout=PATIENCE)
    take_screenshot("checkout-no-answer")
    shop.place_order()
    shop.expect_status("Paid")
    assert lost == [201]
    shop.open("/orders")
    expect(page.locator(".order-row")).to_have_count(1)


def test_an_order_whose_answer_was_lost_is_not_placed_twice_with_another_address(page, shop, product, lost):
    shop.buy(product)
    expect(page.get_by_role("alert")).to_contain_text("There was no answer", timeout=PATIENCE)
    page.get_by_label("City").fill("Shelbyville")
    shop.place_order()
    expect(shop.toasts).to_contain_text("Your order has arrived already")
    expect(shop.heading).to_have_text("Your orders")
    expect(page.locator(".order-row")).to_have_count(1)
    assert lost == [201]


def test_a_cart_that_was_filled_anew_is_not_taken_for_the_order_whose_answer_was_lost(
    page, shop, product, other_product, lost
):
    shop.buy(product)
    expect(page.get_by_role("alert")).to_contain_text("There was no answer", timeout=PATIENCE)
    shop.put_into_cart(other_product)
    shop.fill_in_address()
    shop.place_order()
    expect(shop.toasts).to_contain_text("Your order has arrived already")
    shop.expect_cart(1)
    shop.fill_in_address()
    shop.place_order()
    shop.expect_status("Paid")
    shop.open("/orders")
    expect(page.locator(".order-row")).to_have_count(2)
    assert lost == [201]
