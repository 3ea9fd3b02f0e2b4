"""The cart: its items, their quantities, and its notes when the shop has changed meanwhile."""

import secrets

import pytest
from playwright.sync_api import expect

from tests.browser.back_office import add_product
from tests.browser.storefront import PHONE, Storefront

pytestmark = pytest.mark.shop

BOARD = 1  # The walnut chopping board, $64.90.


def test_products_go_into_the_cart_from_the_list_and_from_their_page(page, shop, complaints, take_screenshot):
    shop.open()
    page.get_by_role("button", name="Put Walnut Chopping Board with Juice Groove into the cart").click()
    shop.expect_cart(1)
    shop.open(f"/products/{BOARD}")
    page.get_by_role("button", name="One Walnut Chopping Board with Juice Groove more").click()
    page.get_by_role("button", name="Put into the cart", exact=True).click()
    shop.expect_cart(3)
    cart = shop.open_cart()
    expect(cart).to_contain_text("$64.90 each")
    expect(cart).to_contain_text("$194.70")
    take_screenshot("cart")
    page.reload()
    shop.expect_cart(3)
    assert complaints == []


def test_quantities_are_changed_and_taken_back(page, shop, complaints, take_screenshot):
    shop.put_into_cart(BOARD)
    cart = shop.open_cart()
    more = cart.get_by_role("button", name="One Walnut Chopping Board with Juice Groove more")
    for _time in range(3):
        more.click()
    expect(cart).to_contain_text("$259.60")
    shop.expect_cart(4)
    cart.get_by_label("Quantity of Walnut").fill("2")
    cart.get_by_label("Quantity of Walnut").press("Tab")
    expect(cart).to_contain_text("$129.80")
    with page.expect_response(lambda response: "/cart/items/" in response.url):
        cart.get_by_role("button", name="Remove Walnut").click()
    expect(cart.get_by_role("heading", name="Nothing in it yet")).to_be_visible()
    take_screenshot("cart-empty")
    cart.get_by_role("button", name="Undo").click()
    expect(cart).to_contain_text("$129.80")
    assert complaints == []


def test_two_tabs_share_the_cart(page, shop):
    shop.put_into_cart(BOARD)
    other = page.context.new_page()
    other.goto("/")
    expect(other.get_by_role("button", name="Cart, 1 item")).to_be_visible()


def test_items_that_two_windows_put_into_the_cart_add_up(page, shop):
    shop.put_into_cart(BOARD)
    other = Storefront(page.context.new_page())
    other.open(f"/products/{BOARD}")
    other.expect_cart(1)
    shop.put_into_cart(BOARD)
    shop.expect_cart(2)
    # What this window has seen of the cart is old by now.
    other.page.get_by_role("button", name="Put into the cart", exact=True).click()
    other.expect_cart(3)


def test_the_cart_explains_changes_of_price_and_stock(page, shop, admin, complaints, take_screenshot):
    board, crock = (add_product(admin, title=f"{name} {secrets.token_hex(4)}") for name in ("Board", "Crock"))
    shop.put_into_cart(board["id"])
    shop.put_into_cart(crock["id"])
    changed = admin.patch(f"/products/{board['id']}", json={"version": board["version"], "price": 70})
    assert changed.status_code == 200
    assert admin.put(f"/products/{crock['id']}/stock", json={"on_hand": 2}).status_code == 200
    cart = shop.open_cart()
    expect(cart).to_contain_text("The price has changed since you put it in.")
    cart.get_by_label("Quantity of Crock").fill("4")
    cart.get_by_label("Quantity of Crock").press("Tab")
    expect(cart).to_contain_text("Only 2 left.")
    take_screenshot("cart-problems")
    cart.get_by_role("button", name="Take 2").click()
    cart.get_by_role("button", name="Accept").click()
    expect(cart.locator(".cart-problem")).to_have_count(0)
    expect(cart).to_contain_text("$150.00")
    assert complaints == []


def test_the_cart_fills_a_phone(page, shop, take_screenshot):
    page.set_viewport_size(PHONE)
    # Without motion the cart is in its place as soon as it is there.
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    shop.put_into_cart(BOARD)
    cart = shop.open_cart()
    expect(cart.get_by_role("button", name="Remove Walnut")).to_be_in_viewport()
    box = cart.bounding_box()
    assert (box["x"], box["width"]) == (0, 360)
    assert cart.evaluate("(node) => node.scrollWidth") <= 360
    take_screenshot("phone-dark-cart")


def test_a_cart_that_does_not_answer_says_so_and_can_be_tried_again(page, shop, take_screenshot):
    shop.put_into_cart(BOARD)
    # The gateway's answer when no replica does.
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
