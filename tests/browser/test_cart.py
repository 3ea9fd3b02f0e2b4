"""The cart: its items, their quantities, and its warnings about changed prices and stock."""

import secrets

import pytest
from playwright.sync_api import Route, expect

from tests.browser.back_office import add_product
from tests.browser.storefront import PHONE, Storefront

pytestmark = pytest.mark.shop

BOARD = 1  # The walnut chopping board, $64.90.


def test_products_are_added_to_the_cart_from_the_list_and_from_their_page(
    page, shop, complaints, take_screenshot
):
    shop.open()
    page.get_by_role("button", name="Add Walnut Chopping Board with Juice Groove to cart").click()
    shop.expect_cart(1)
    shop.open(f"/products/{BOARD}")
    page.get_by_role("button", name="Increase quantity for Walnut Chopping Board with Juice Groove").click()
    page.get_by_role("button", name="Add to cart", exact=True).click()
    shop.expect_cart(3)
    cart = shop.open_cart()
    expect(cart).to_contain_text("$64.90 each")
    expect(cart).to_contain_text("$194.70")
    take_screenshot("cart")
    page.reload()
    shop.expect_cart(3)
    assert complaints == []


def test_quantities_are_changed_and_a_removal_is_undone(page, shop, complaints, take_screenshot):
    shop.add_to_cart(BOARD)
    cart = shop.open_cart()
    more = cart.get_by_role("button", name="Increase quantity for Walnut Chopping Board with Juice Groove")
    for _time in range(3):
        more.click()
    expect(cart).to_contain_text("$259.60")
    shop.expect_cart(4)
    cart.get_by_label("Quantity of Walnut").fill("2")
    cart.get_by_label("Quantity of Walnut").press("Tab")
    expect(cart).to_contain_text("$129.80")
    with page.expect_response(lambda response: "/cart/items/" in response.url):
        cart.get_by_role("button", name="Remove Walnut").click()
    expect(cart.get_by_role("heading", name="Your cart is empty")).to_be_visible()
    take_screenshot("cart-empty")
    cart.get_by_role("button", name="Undo").click()
    expect(cart).to_contain_text("$129.80")
    assert complaints == []


def test_the_link_to_the_checkout_keeps_the_focus_when_a_late_answer_arrives(page, shop):
    shop.add_to_cart(BOARD)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/cart", hold, times=1)
    with page.expect_request("**/cart"):
        cart = shop.open_cart()
    link = cart.get_by_role("link", name="Check out")
    link.focus()
    # The customer is faster than the answer to the drawer's question for the current prices.
    handle = link.element_handle()
    held.pop().continue_()
    page.wait_for_function("(link) => !link.isConnected", arg=handle)
    expect(link).to_be_focused()
    page.keyboard.press("Enter")
    expect(shop.heading).to_have_text("Checkout")


def test_two_tabs_share_the_cart(page, shop):
    shop.add_to_cart(BOARD)
    other = page.context.new_page()
    other.goto("/")
    expect(other.get_by_role("button", name="Cart, 1 item")).to_be_visible()


def test_units_added_in_two_windows_add_up(page, shop):
    shop.add_to_cart(BOARD)
    other = Storefront(page.context.new_page())
    other.open(f"/products/{BOARD}")
    other.expect_cart(1)
    shop.add_to_cart(BOARD)
    shop.expect_cart(2)
    # The cart in this window is out of date.
    other.page.get_by_role("button", name="Add to cart", exact=True).click()
    other.expect_cart(3)


def test_the_cart_explains_changes_of_price_and_stock(page, shop, admin, complaints, take_screenshot):
    board, crock = (add_product(admin, title=f"{name} {secrets.token_hex(4)}") for name in ("Board", "Crock"))
    shop.add_to_cart(board["id"])
    shop.add_to_cart(crock["id"])
    changed = admin.patch(f"/products/{board['id']}", json={"version": board["version"], "price": 70})
    assert changed.status_code == 200
    assert admin.put(f"/products/{crock['id']}/stock", json={"on_hand": 2}).status_code == 200
    cart = shop.open_cart()
    expect(cart).to_contain_text("The price changed from $40.00 to $70.00.")
    cart.get_by_label("Quantity of Crock").fill("4")
    cart.get_by_label("Quantity of Crock").press("Tab")
    expect(cart).to_contain_text("Only 2 left.")
    take_screenshot("cart-problems")
    cart.get_by_role("button", name="Set quantity to 2").click()
    cart.get_by_role("button", name="Accept new price").click()
    expect(cart.locator(".cart-problem")).to_have_count(0)
    expect(cart).to_contain_text("$150.00")
    assert complaints == []


def test_the_cart_fills_a_phone(page, shop, take_screenshot):
    page.set_viewport_size(PHONE)
    # Without an animation the cart is in its final position at once.
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    shop.add_to_cart(BOARD)
    cart = shop.open_cart()
    expect(cart.get_by_role("button", name="Remove Walnut")).to_be_in_viewport()
    box = cart.bounding_box()
    assert (box["x"], box["width"]) == (0, 360)
    assert cart.evaluate("(node) => node.scrollWidth") <= 360
    take_screenshot("phone-dark-cart")


def test_an_unavailable_cart_shows_an_error_and_a_retry(page, shop, take_screenshot):
    shop.add_to_cart(BOARD)
    # The gateway's response when no replica responds.
    problem = {"status": 503, "code": "unavailable", "detail": "…", "request_id": "0123456789abcdef"}
    page.route("**/cart", lambda route: route.fulfill(status=503, json=problem))
    page.route("**/cart/items/*", lambda route: route.fulfill(status=503, json=problem))
    page.reload()
    page.get_by_role("button", name="Add to cart", exact=True).click()
    expect(shop.toasts).to_contain_text("Could not add to cart.")
    cart = shop.open_cart()
    expect(cart.get_by_role("alert")).to_contain_text("Something went wrong on our side.")
    take_screenshot("outage-cart")
    page.unroute_all()
    cart.get_by_role("button", name="Try again").click()
    expect(cart).to_contain_text("Total (1 item)")
