"""The shop for those who see it differently, hear it, or have no mouse."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.storefront import ADDRESS, ASKED, DECLINED, PATIENCE, find_barriers

pytestmark = pytest.mark.shop

PRODUCT = 24


def test_axe_sees_a_fault_where_there_is_one(page, shop):
    shop.open("/developers")
    page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    assert any(fault.startswith("button-name") for fault in find_barriers(page))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/?q=chooping", "/?q=zzzz", "/products/4", "/products/12", "/orders"])
def test_no_page_of_a_visitor_keeps_anybody_out(page, shop, path, scheme):
    page.emulate_media(color_scheme=scheme)
    shop.open(path)
    expect(page.locator(".skeleton")).to_have_count(0)
    assert find_barriers(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_step_of_a_purchase_keeps_anybody_out(page, shop, scheme):
    page.emulate_media(color_scheme=scheme)
    shop.put_into_cart(PRODUCT)
    assert find_barriers(page) == []
    shop.open_cart()
    assert find_barriers(page) == []
    page.keyboard.press("Escape")
    shop.open("/checkout")
    page.get_by_role("button", name="Place the order").click()
    assert find_barriers(page) == []
    for label, value in ADDRESS.items():
        page.get_by_label(label, exact=True).fill(value)
    shop.place_order(DECLINED)
    expect(page.get_by_role("alert")).to_be_visible(timeout=PATIENCE)
    assert find_barriers(page) == []
    shop.place_order(ASKED)
    expect(page.get_by_role("dialog", name="Simulated bank")).to_be_visible(timeout=PATIENCE)
    assert find_barriers(page) == []
    page.get_by_role("button", name="Yes, approve it").click()
    shop.expect_status("Paid")
    assert find_barriers(page) == []
    shop.open("/orders")
    assert find_barriers(page) == []


@pytest.mark.parametrize("path", ["/login", "/developers", "/no/such/page"])
def test_no_other_page_keeps_anybody_out(page, shop, path):
    page.set_viewport_size({"width": 360, "height": 740})
    shop.open(path)
    assert find_barriers(page) == []


def press_until(page: Page, key: str, selector: str) -> None:
    """Press a key until something has the focus, as whoever has no mouse does."""
    for _time in range(80):
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{selector} is not reached by {key}")


def test_a_purchase_needs_no_mouse(page, shop):
    shop.open(f"/products/{PRODUCT}")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    press_until(page, "Tab", ".buy [type=submit]")
    page.keyboard.press("Enter")
    shop.expect_cart(1)
    press_until(page, "Shift+Tab", "#cart")
    page.keyboard.press("Enter")
    expect(shop.cart).to_be_visible()
    # The focus stays in the dialog, and goes back to where it came from.
    page.keyboard.press("Escape")
    expect(shop.cart_button).to_be_focused()
    page.keyboard.press("Enter")
    press_until(page, "Tab", ".drawer-foot a")
    page.keyboard.press("Enter")
    expect(shop.heading).to_have_text("Checkout")
    for name, value in (
        ("name", "Ada"),
        ("line1", "1 Long Lane"),
        ("postal_code", "12345"),
        ("city", "Springfield"),
    ):
        press_until(page, "Tab", f"[name={name}]")
        page.keyboard.type(value)
    press_until(page, "Tab", "[name=payment_method]")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label(ASKED)).to_be_checked()
    page.keyboard.press("Enter")
    bank = page.get_by_role("dialog", name="Simulated bank")
    expect(bank.get_by_role("button", name="Yes, approve it")).to_be_focused(timeout=PATIENCE)
    page.keyboard.press("Enter")
    shop.expect_status("Paid")


def test_a_new_page_is_said_aloud_and_has_the_focus(page, shop):
    shop.open()
    expect(shop.cards).to_have_count(24)
    link = shop.cards.nth(3).get_by_role("link")
    name = link.text_content()
    link.click()
    expect(page.locator("#announcer")).to_have_text(f"{name} · Shopfleet")
    expect(shop.heading).to_have_text(name)
    expect(shop.heading).to_be_focused()


def test_what_has_the_focus_can_be_seen(page, shop):
    shop.open("/login")
    for selector in (".site-link", ".search input", "main input", "main .button", ".site-footer a"):
        page.locator(selector).first.focus()
        outline = page.locator(selector).first.evaluate("(node) => getComputedStyle(node).outlineWidth")
        assert outline == "3px", selector


def test_nothing_moves_for_those_who_asked_for_that(page, shop):
    page.emulate_media(reduced_motion="reduce")
    shop.put_into_cart(PRODUCT)
    shop.open_cart()
    moving = "document.getAnimations().filter((each) => each.effect.getComputedTiming().duration > 1).length"
    assert page.evaluate(moving) == 0
