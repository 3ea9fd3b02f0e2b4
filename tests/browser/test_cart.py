"""The cart: what goes in, what comes out, and what is said when the shop has changed meanwhile."""

import pytest
from playwright.sync_api import expect

from tests.browser.storefront import Storefront

pytestmark = pytest.mark.shop

BOARD = 1  # The walnut chopping board, $64.90.
CROCK = 5  # The stoneware bread crock, $54.00.


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


def test_the_cart_of_one_tab_is_that_of_the_other(page, shop):
    shop.put_into_cart(BOARD)
    other = page.context.new_page()
    other.goto("/")
    expect(other.get_by_role("button", name="Cart, 1 item")).to_be_visible()


def test_what_two_windows_put_into_the_cart_adds_up(page, shop):
    shop.put_into_cart(BOARD)
    other = Storefront(page.context.new_page())
    other.open(f"/products/{BOARD}")
    other.expect_cart(1)
    shop.put_into_cart(BOARD)
    shop.expect_cart(2)
    # What this window has seen of the cart is old by now.
    other.page.get_by_role("button", name="Put into the cart", exact=True).click()
    other.expect_cart(3)


def test_what_has_changed_in_the_shop_is_said_in_words(page, shop, admin, complaints, take_screenshot):
    board, crock = (admin.get(f"/products/{each}").json() for each in (BOARD, CROCK))
    shop.put_into_cart(BOARD)
    shop.put_into_cart(CROCK)
    changed = admin.patch(f"/products/{BOARD}", json={"version": board["version"], "price": 70}).json()
    try:
        assert admin.put(f"/products/{CROCK}/stock", json={"on_hand": 2}).status_code == 200
        cart = shop.open_cart()
        expect(cart).to_contain_text("The price has changed since you put it in.")
        cart.get_by_label("Quantity of Stoneware").fill("4")
        cart.get_by_label("Quantity of Stoneware").press("Tab")
        expect(cart).to_contain_text("Only 2 left.")
        take_screenshot("cart-problems")
        cart.get_by_role("button", name="Take 2").click()
        cart.get_by_role("button", name="Accept").click()
        expect(cart.locator(".cart-problem")).to_have_count(0)
        expect(cart).to_contain_text("$178.00")
    finally:
        admin.patch(f"/products/{BOARD}", json={"version": changed["version"], "price": board["price"]})
        admin.put(f"/products/{CROCK}/stock", json={"on_hand": crock["stock"]})
    assert complaints == []


def test_the_cart_fills_a_phone(page, shop, take_screenshot):
    page.set_viewport_size({"width": 360, "height": 740})
    # Without motion the cart is in its place as soon as it is there.
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    shop.put_into_cart(BOARD)
    cart = shop.open_cart()
    expect(cart.get_by_role("button", name="Remove Walnut")).to_be_in_viewport()
    box = cart.bounding_box()
    assert (box["x"], box["width"]) == (0, 360)
    assert cart.evaluate("(node) => node.scrollWidth") <= 360
    take_screenshot("phone-dark-cart")
