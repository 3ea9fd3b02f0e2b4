"""Every page of the back office: for keyboard and screen reader, on a phone, in the dark."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.back_office import open_back_office, place_order
from tests.browser.storefront import find_barriers
from tests.stacks import ProcessStack, Shopper

pytestmark = pytest.mark.shop

PAGES = [
    "",
    "orders",
    "orders/{order}",
    "products",
    "products/1",
    "products/new",
    "products/import",
    "products/source",
    "users",
    "users/{user}",
    "clients",
    "payments",
    "payments/ledger",
    "payments/{payment}",
    "logs",
    "logs?order_id={order}",
    "logs/live",
    "services",
]


@pytest.fixture(scope="module")
def ids(processes: ProcessStack) -> Iterator[dict[str, str]]:
    """An order, its payment and whose it is."""
    with Shopper(processes.url) as guest:
        assert guest.post("/auth/guest").status_code == 201
        order = place_order(guest, 1)
        payment = guest.get(f"/orders/{order}").json()["payment"]["id"]
        yield {"order": order, "payment": payment, "user": guest.get("/auth/me").json()["id"]}


def open_page(page: Page, path: str, ids: dict[str, str]) -> str:
    """Open a page and wait until it has all that it shows; return a name for its picture."""
    open_back_office(page, path.format(**ids))
    expect(page.locator("[aria-busy=true]")).to_have_count(0, timeout=30_000)
    if path == "services":
        expect(page.get_by_text("6 of 6 answer.")).to_be_visible(timeout=30_000)
    if path == "logs/live":
        expect(page.get_by_text("Following.")).to_be_visible(timeout=30_000)
    return (
        path.partition("?")[0].format(order="one", payment="one", user="one").replace("/", "-") or "overview"
    )


@pytest.mark.parametrize("path", PAGES)
def test_nobody_is_kept_out_of_a_page(page, complaints, path, ids):
    open_page(page, path, ids)
    assert page.get_by_role("heading", level=1).count() == 1
    assert find_barriers(page) == []
    assert complaints == []


@pytest.mark.parametrize("path", PAGES)
def test_a_page_fits_a_phone_in_the_dark(page, complaints, take_screenshot, path, ids):
    page.set_viewport_size({"width": 360, "height": 740})
    page.emulate_media(color_scheme="dark")
    name = open_page(page, path, ids)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert sum(int(part) for part in background.strip("rgb()").split(",")[:3]) < 200
    assert find_barriers(page) == []
    take_screenshot(f"admin-phone-dark-{name}")
    assert complaints == []


def test_an_order_is_shipped_by_keyboard_alone(page, complaints, ids):
    open_back_office(page, f"orders/{ids['order']}")
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    button = page.get_by_role("button", name="Mark as shipped")
    for _ in range(60):
        if button.evaluate("(node) => node === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    # The dialog takes the focus, and Escape changes nothing.
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
    # The button is gone, and a reader goes on from the top of the page.
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    assert complaints == []
