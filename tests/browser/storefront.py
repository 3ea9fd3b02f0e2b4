"""Customer actions in the storefront, and measurements of its pages."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.stacks import ProcessStack

ADDRESS = {
    "Name": "Ada Buyer",
    "Street address": "1 Long Lane",
    "Postal code": "62701",
    "City": "Springfield",
    "State or region": "IL",
}
ACCEPTED = "Test card: accepted"
CHALLENGED = "Test card: requires authentication"
DECLINED = "Test card: declined"
# Milliseconds. A checkout that waits for a service takes five seconds; a busy machine takes longer.
PATIENCE = 30_000
DESKTOP = {"width": 1200, "height": 900}
PHONE = {"width": 360, "height": 740}
# The views that do not depend on the fragment.
OWN_ADDRESS = re.compile(r"/[pc]/")
# A document of the shop's origin that runs no script.
BLANK = "/assets/icon.svg"


class Storefront:
    """The shop in a page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.heading = page.get_by_role("heading", level=1)
        self.cards = page.locator(".product-card")
        self.search = page.get_by_role("searchbox", name="Search the shop")
        self.cart_button = page.get_by_role("button", name=re.compile("^Cart, "))
        self.cart = page.get_by_role("dialog", name="Your cart")
        self.toasts = page.locator(".toasts")

    def open(self, path: str = "/") -> None:
        """Open a view by its path and wait until it is rendered.

        On a page that has an address of its own, this follows a link, because another address would load the
        page again.
        """
        address = path if OWN_ADDRESS.match(path) else f"/#{path}"
        if OWN_ADDRESS.match(urlsplit(self.page.url).path):
            follow_link(self.page, address)
        else:
            self.page.goto(address)
        expect(self.heading.first).to_be_visible()
        expect(self.page.locator("[aria-busy=true]")).to_have_count(0)

    def add_to_cart(self, product_id: int) -> None:
        """Add one unit of a product to the cart on its page."""
        self.open(f"/products/{product_id}")
        self.page.get_by_role("button", name="Add to cart", exact=True).click()
        expect(self.toasts).to_contain_text("to your cart")

    def expect_cart(self, count: int) -> None:
        """Wait until the header shows this number of items in the cart."""
        words = {0: "empty", 1: "1 item"}.get(count, f"{count} items")
        expect(self.cart_button).to_have_accessible_name(f"Cart, {words}")

    def open_cart(self) -> Locator:
        """Open the cart and return it."""
        self.cart_button.click()
        expect(self.cart).to_be_visible()
        return self.cart

    def fill_in_address(self) -> None:
        """Open the checkout and fill in the shipping address and the email address."""
        self.open("/checkout")
        for label, value in ADDRESS.items():
            self.page.get_by_label(label, exact=True).fill(value)
        self.page.get_by_label("Email").fill("ada@example.com")

    def place_order(self, card: str = ACCEPTED) -> None:
        """Choose a card and place the order."""
        self.page.get_by_label(card).check()
        self.page.get_by_role("button", name="Place order").click()

    def buy(self, product_id: int, card: str = ACCEPTED) -> None:
        """Add a product to the cart and order it."""
        self.add_to_cart(product_id)
        self.fill_in_address()
        self.place_order(card)

    def expect_status(self, words: str) -> None:
        """Wait until the order in view shows a status."""
        expect(self.page.locator("main header .badge")).to_have_text(words, timeout=PATIENCE)

    def sign_in(self, username: str, password: str) -> None:
        """Fill in and submit the sign-in form in view."""
        self.page.get_by_label("Username").fill(username)
        self.page.get_by_label("Password", exact=True).fill(password)
        self.page.locator("form").get_by_role("button", name="Sign in", exact=True).click()

    def register(self, username: str, password: str) -> None:
        """Fill in and submit the form in view that creates an account."""
        self.page.get_by_role("button", name="Create an account", exact=True).click()
        self.page.get_by_label("Username").fill(username)
        self.page.get_by_label("Password", exact=True).fill(password)
        self.page.locator("form").get_by_role("button", name="Create account", exact=True).click()

    @property
    def order_id(self) -> str:
        """Return the id of the order in view."""
        found = re.search(r"#/orders/([0-9a-f-]{36})", self.page.url)
        assert found, self.page.url
        return found.group(1)


def open_blank(page: Page) -> None:
    """Open a page of the shop's origin that runs no script, unless it is open."""
    if not page.url.endswith(BLANK):
        page.goto(BLANK)


def follow_link(page: Page, address: str) -> None:
    """Follow a link to this address and wait until the view is rendered."""
    page.evaluate(
        """(address) => new Promise((resolve) => {
            addEventListener("shopfleet:view", resolve, {once: true});
            const link = document.createElement("a");
            link.href = address;
            document.body.append(link);
            link.click();
            link.remove();
        })""",
        address,
    )


def go_to(page: Page, path: str) -> None:
    """Follow a link to another view and wait until it is complete."""
    page.evaluate(
        """(path) => new Promise((resolve) => {
            addEventListener("shopfleet:view", resolve, {once: true});
            location.hash = path;
        })""",
        path,
    )
    expect_content(page)


def expect_content(page: Page) -> None:
    """Wait until the view shows all of its data."""
    expect(page.locator("[aria-busy=true], .skeleton, .is-loading")).to_have_count(0)


@dataclass(frozen=True)
class Look:
    """A viewport size and a colour scheme in which pages are checked."""

    name: str
    size: dict[str, int]
    scheme: str

    def put_on(self, page: Page) -> None:
        """Apply the look to a page."""
        page.set_viewport_size(self.size)
        page.emulate_media(color_scheme=self.scheme)

    def find_faults(self, page: Page) -> list[str]:
        """Return the faults of a page in this look: accessibility, overflow, and the wrong colour scheme."""
        self.put_on(page)
        faults = find_barriers(page)
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > self.size["width"]:
            faults.append(f"{width} pixels wide")
        if (find_brightness(page) < 200) is not (self.scheme == "dark"):
            faults.append(f"the background is not {self.scheme}")
        return [f"{self.name}: {fault}" for fault in faults]


ORDINARY = Look("desktop-light", DESKTOP, "light")
PHONE_IN_THE_DARK = Look("phone-dark", PHONE, "dark")
LOOKS = [ORDINARY, PHONE_IN_THE_DARK]
OTHER_LOOKS = [Look("desktop-dark", DESKTOP, "dark"), Look("phone-light", PHONE, "light")]
# Two looks cover each size and each scheme; the long tier checks the other combinations.
each_set_of_looks = pytest.mark.parametrize(
    "looks",
    [
        pytest.param(LOOKS, id="two looks"),
        pytest.param(OTHER_LOOKS, id="other looks", marks=pytest.mark.long),
    ],
)


def find_brightness(page: Page, element: str = "document.body", colour: str = "backgroundColor") -> int:
    """Return the sum of red, green and blue of an element's colour, each from 0 to 255."""
    text = page.evaluate(f"getComputedStyle({element}).{colour}")
    return sum(int(part) for part in re.findall(r"\d+", text)[:3])


def find_barriers(page: Page) -> list[str]:
    """Return the serious and critical accessibility violations that axe-core finds."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text())
    # Finish all animations, because a fading element has too little contrast.
    page.evaluate(
        """() => {
            for (const each of document.getAnimations()) {
                each.effect.updateTiming({iterations: 1});
                each.finish();
            }
        }"""
    )
    # The details of passed rules would take half of the time.
    results: dict[str, Any] = page.evaluate("axe.run({resultTypes: ['violations']})")
    return [
        f"{fault['id']}: {node['html']} {node['failureSummary']}"
        for fault in results["violations"]
        if fault["impact"] in {"serious", "critical"}
        for node in fault["nodes"]
    ]


def measure_layout_shift(page: Page) -> float:
    """Return the cumulative layout shift of the page (CLS)."""
    return page.evaluate(
        """() => new Promise((resolve) => {
            new PerformanceObserver((list) => {
                const shifts = list.getEntries().filter((entry) => !entry.hadRecentInput);
                resolve(shifts.reduce((sum, entry) => sum + entry.value, 0));
            }).observe({type: "layout-shift", buffered: true});
            setTimeout(() => resolve(0), 500);
        })"""
    )


@contextmanager
def paused(stack: ProcessStack, *parts: str) -> Iterator[None]:
    """Pause parts of the stack, and resume them afterwards."""
    try:
        for part in parts:
            stack.pause(part)
        yield
    finally:
        for part in parts:
            stack.resume(part)
