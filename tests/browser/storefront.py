"""What people do in the shop's window, and what can be seen of it from outside."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.stacks import ProcessStack

ADDRESS = {
    "Name": "Ada Buyer",
    "Street and number": "1 Long Lane",
    "Postal code": "12345",
    "City": "Springfield",
}
ACCEPTED = "Test card that is accepted"
ASKED = "Test card whose bank asks you"
DECLINED = "Test card that is declined"
# A checkout that waits for a service takes five seconds; a busy machine takes longer.
PATIENCE = 20_000


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
        """Open a view by its address, and wait until it shows something."""
        self.page.goto(f"/#{path}")
        expect(self.heading.first).to_be_visible()
        expect(self.page.locator("[aria-busy=true]")).to_have_count(0)

    def put_into_cart(self, product_id: int) -> None:
        """Put one of a product into the cart, from its own page."""
        self.open(f"/products/{product_id}")
        self.page.get_by_role("button", name="Put into the cart", exact=True).click()
        expect(self.toasts).to_contain_text("is in your cart")

    def expect_cart(self, count: int) -> None:
        """Wait until the header says that there are so many items in the cart."""
        words = {0: "empty", 1: "1 item"}.get(count, f"{count} items")
        expect(self.cart_button).to_have_accessible_name(f"Cart, {words}")

    def open_cart(self) -> Locator:
        """Open the cart; return it."""
        self.cart_button.click()
        expect(self.cart).to_be_visible()
        return self.cart

    def fill_in_address(self) -> None:
        """Go to the checkout, and say where the order goes."""
        self.open("/checkout")
        for label, value in ADDRESS.items():
            self.page.get_by_label(label, exact=True).fill(value)

    def place_order(self, card: str = ACCEPTED) -> None:
        """Choose a card, and place the order."""
        self.page.get_by_label(card).check()
        self.page.get_by_role("button", name="Place the order").click()

    def buy(self, product_id: int, card: str = ACCEPTED) -> None:
        """Put a product into the cart, and order it."""
        self.put_into_cart(product_id)
        self.fill_in_address()
        self.place_order(card)

    def expect_status(self, words: str) -> None:
        """Wait until the order in view is said to be in a state."""
        expect(self.page.locator("main header .badge")).to_have_text(words, timeout=PATIENCE)

    def sign_in(self, username: str, password: str) -> None:
        """Fill in the form in view that signs somebody in."""
        self.page.get_by_label("User name").fill(username)
        self.page.get_by_label("Password", exact=True).fill(password)
        self.page.locator("form").get_by_role("button", name="Sign in", exact=True).click()

    def register(self, username: str, password: str) -> None:
        """Fill in the form in view that makes somebody a customer."""
        self.page.get_by_role("button", name="Register", exact=True).click()
        self.page.get_by_label("User name").fill(username)
        self.page.get_by_label("Password", exact=True).fill(password)
        self.page.locator("form").get_by_role("button", name="Register", exact=True).click()

    @property
    def order_id(self) -> str:
        """Return the id of the order in view."""
        found = re.search(r"#/orders/([0-9a-f-]{36})", self.page.url)
        assert found, self.page.url
        return found.group(1)


def find_barriers(page: Page) -> list[str]:
    """Return what axe-core finds that keeps people out: faults that are serious or critical."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text())
    # A fading element has the contrast of its moment, and what is looked at is where it ends.
    page.evaluate(
        """() => {
            for (const each of document.getAnimations()) {
                each.effect.updateTiming({iterations: 1});
                each.finish();
            }
        }"""
    )
    results: dict[str, Any] = page.evaluate("axe.run()")
    return [
        f"{fault['id']}: {node['html']} {node['failureSummary']}"
        for fault in results["violations"]
        if fault["impact"] in {"serious", "critical"}
        for node in fault["nodes"]
    ]


def measure_layout_shift(page: Page) -> float:
    """Return how much of the page has moved by itself since it was opened (CLS)."""
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
def paused(stack: ProcessStack, part: str) -> Iterator[None]:
    """Stop a part of the stack where it is, and let it go on afterwards."""
    stack.pause(part)
    try:
        yield
    finally:
        stack.resume(part)
