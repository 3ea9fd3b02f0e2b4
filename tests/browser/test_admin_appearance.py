"""Accessibility of the back office: keyboard, screen reader, phone and dark mode."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.back_office import add_product, open_back_office, place_order, wait_for_content
from tests.browser.storefront import ORDINARY, each_set_of_looks, go_to
from tests.stacks import ProcessStack, Shopper

pytestmark = pytest.mark.shop

PAGES = [
    "",
    "orders",
    "orders/{order}",
    "products?q=unbreakable",
    "products",
    "products?in_stock=low",
    "products/1",
    "products/new",
    "products/import",
    "products/source",
    "categories",
    "pricing",
    "pricing/taxes",
    "pricing/coupons",
    "pricing/preview",
    "users",
    "users/{user}",
    "clients",
    "webhooks",
    "payments",
    "payments/ledger",
    "payments/{payment}",
    "logs",
    "logs?order_id={order}",
    "logs/live",
    "services",
]
# The texts that these pages show last.
SHOWN_LAST = {"services": "6 of 6 healthy.", "logs/live": "Following."}


@pytest.fixture(scope="module")
def long_words(processes: ProcessStack) -> int:
    """The id of a product with an unbreakable title that is wider than a phone."""
    with Shopper(processes.url) as admin:
        admin.log_in()
        return int(add_product(admin, title=f"Kettle {'unbreakable' * 8}")["id"])


@pytest.fixture(scope="module")
def ids(processes: ProcessStack, product: int, long_words: int) -> Iterator[dict[str, str]]:
    """The ids of an order of the product with the long title, its payment and its customer."""
    with Shopper(processes.url) as guest:
        assert guest.post("/auth/guest").status_code == 201
        place_order(guest, product)
        order = place_order(guest, long_words)
        payment = guest.get(f"/orders/{order}").json()["payment"]["id"]
        yield {"order": order, "payment": payment, "user": guest.get("/auth/me").json()["id"]}


@each_set_of_looks
def test_every_page_of_the_back_office_is_accessible_in_every_look(
    page, complaints, take_screenshot, ids, looks
):
    faults = {}
    open_back_office(page, "users")
    for pattern in PAGES:
        path = pattern.format(**ids)
        go_to(page, f"/admin/{path}" if path else "/admin")
        if pattern in SHOWN_LAST:
            expect(page.get_by_text(SHOWN_LAST[pattern])).to_be_visible()
        faults[pattern] = [fault for look in looks for fault in look.find_faults(page)]
        if page.get_by_role("heading", level=1).count() != 1:
            faults[pattern].append("not one main heading")
        for look in looks:
            look.put_on(page)
            take_screenshot(f"admin-{look.name}-{re.sub('[^a-z]+', '-', pattern) or 'overview'}")
        ORDINARY.put_on(page)
    assert {pattern: found for pattern, found in faults.items() if found} == {}
    assert complaints == []


def test_an_order_is_shipped_by_keyboard_alone(page, complaints, ids):
    open_back_office(page, f"orders/{ids['order']}")
    wait_for_content(page)
    button = page.get_by_role("button", name="Mark as shipped")
    for _ in range(60):
        if button.evaluate("(node) => node === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    # The dialog gets the focus, and Escape cancels.
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    assert dialog.evaluate("(node) => node.contains(document.activeElement)")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(button).to_be_focused()

    page.keyboard.press("Enter")
    yes = dialog.get_by_role("button", name="Mark as shipped")
    while not yes.evaluate("(node) => node === document.activeElement"):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".page-title .badge")).to_have_text("Shipped")
    # The button no longer exists, so the heading gets the focus.
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    assert complaints == []
