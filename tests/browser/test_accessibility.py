"""Accessibility of the shop: keyboard, screen reader, phone and dark mode."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.back_office import leave_out
from tests.browser.storefront import (
    ADDRESS,
    CHALLENGED,
    DECLINED,
    ORDINARY,
    PATIENCE,
    Look,
    each_set_of_looks,
    find_barriers,
    go_to,
)

pytestmark = pytest.mark.shop

VIEWS = [
    "/",
    "/?q=chooping",
    "/?q=zzzz",
    "/products/4",
    # Sold out.
    "/products/12",
    "/checkout",
    "/orders",
    "/login",
    "/developers",
    "/no/such/page",
]


def test_axe_finds_a_button_without_a_name(page, shop):
    shop.open("/developers")
    page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    assert any(fault.startswith("button-name") for fault in find_barriers(page))


@each_set_of_looks
def test_every_page_of_the_shop_is_accessible_in_every_look(page, shop, complaints, take_screenshot, looks):
    faults = {}
    shop.open("/products/1")
    for path in VIEWS:
        go_to(page, path)
        expect(shop.heading).to_have_count(1)
        faults[path] = look_at(page, looks)
        for look in looks:
            look.put_on(page)
            take_screenshot(f"shop-{look.name}{re.sub('[^a-z0-9]+', '-', path)}")
        ORDINARY.put_on(page)
    assert {path: found for path, found in faults.items() if found} == {}
    assert leave_out(complaints, 404) == []


@each_set_of_looks
def test_every_step_of_a_purchase_is_accessible_in_every_look(page, shop, product, looks):
    faults = {}
    shop.add_to_cart(product)
    faults["product"] = look_at(page, looks)
    shop.open_cart()
    faults["cart"] = look_at(page, looks)
    page.keyboard.press("Escape")
    go_to(page, "/checkout")
    page.get_by_role("button", name="Place order").click()
    faults["checkout with empty fields"] = look_at(page, looks)
    for label, value in ADDRESS.items():
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_label("Email").fill("ada@example.com")
    shop.place_order(DECLINED)
    expect(page.get_by_role("alert")).to_be_visible(timeout=PATIENCE)
    faults["checkout with a declined card"] = look_at(page, looks)
    shop.place_order(CHALLENGED)
    bank = page.get_by_role("dialog", name="Simulated bank")
    expect(bank).to_be_visible(timeout=PATIENCE)
    faults["bank"] = look_at(page, looks)
    bank.get_by_role("button", name="Approve payment").click()
    shop.expect_status("Paid")
    faults["order"] = look_at(page, looks)
    go_to(page, "/orders")
    # The list includes the declined order.
    expect(page.locator(".order-row")).to_have_count(2)
    faults["orders"] = look_at(page, looks)
    assert {step: found for step, found in faults.items() if found} == {}


def look_at(page: Page, looks: list[Look]) -> list[str]:
    """Return the faults of the page in each look; restore the ordinary look."""
    faults = [fault for look in looks for fault in look.find_faults(page)]
    ORDINARY.put_on(page)
    return faults


def press_until(page: Page, key: str, selector: str) -> None:
    """Press a key until an element has the focus."""
    for _time in range(80):
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{selector} is not reached by {key}")


def test_a_purchase_needs_no_mouse(page, shop, product):
    shop.open(f"/products/{product}")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    press_until(page, "Tab", ".buy [type=submit]")
    page.keyboard.press("Enter")
    shop.expect_cart(1)
    press_until(page, "Shift+Tab", "#cart")
    page.keyboard.press("Enter")
    expect(shop.cart).to_be_visible()
    # Closing the dialog restores the focus.
    page.keyboard.press("Escape")
    expect(shop.cart_button).to_be_focused()
    page.keyboard.press("Enter")
    press_until(page, "Tab", ".drawer-foot a")
    page.keyboard.press("Enter")
    expect(shop.heading).to_have_text("Checkout")
    for name, value in (
        ("name", "Ada"),
        ("line1", "1 Long Lane"),
        ("postal_code", "62701"),
        ("city", "Springfield"),
        ("region", "IL"),
        ("email", "ada@example.com"),
    ):
        press_until(page, "Tab", f"[name={name}]")
        page.keyboard.type(value)
    press_until(page, "Tab", "[name=payment_method]")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label(CHALLENGED)).to_be_checked()
    page.keyboard.press("Enter")
    bank = page.get_by_role("dialog", name="Simulated bank")
    expect(bank.get_by_role("button", name="Approve payment")).to_be_focused(timeout=PATIENCE)
    page.keyboard.press("Enter")
    shop.expect_status("Paid")


def test_a_new_page_is_announced_and_has_the_focus(page, shop):
    shop.open()
    expect(shop.cards).to_have_count(24)
    link = shop.cards.nth(3).get_by_role("link")
    name = link.text_content()
    link.click()
    expect(page.locator("#announcer")).to_have_text(f"{name} · Shopfleet")
    expect(shop.heading).to_have_text(name)
    expect(shop.heading).to_be_focused()


def test_an_element_with_the_focus_has_an_outline(page, shop):
    shop.open("/login")
    for selector in (".site-link", ".search input", "main input", "main .button", ".site-footer a"):
        page.locator(selector).first.focus()
        outline = page.locator(selector).first.evaluate("(node) => getComputedStyle(node).outlineWidth")
        assert outline == "3px", selector


def test_reduced_motion_turns_all_animations_off(page, shop, product):
    page.emulate_media(reduced_motion="reduce")
    shop.add_to_cart(product)
    shop.open_cart()
    moving = "document.getAnimations().filter((each) => each.effect.getComputedTiming().duration > 1).length"
    assert page.evaluate(moving) == 0
