"""What customers do in the storefront, and what can be measured of its pages."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.stacks import ProcessStack

ADDRESS = {
    "Name": "Ada Buyer",
    "Street and number": "1 Long Lane",
    "Postal code": "62701",
    "City": "Springfield",
    "State or region": "IL",
}
ACCEPTED = "Test card that is accepted"
ASKED = "Test card whose bank asks you"
DECLINED = "Test card that is declined"
# A checkout that waits for a service takes five seconds; a busy machine takes longer.
PATIENCE = 30_000
DESKTOP = {"width": 1200, "height": 900}
PHONE = {"width": 360, "height": 740}
# A document of the shop's own origin that runs no script.
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
        """Fill in and send the form in view that signs a user in."""
        self.page.get_by_label("User name").fill(username)
        self.page.get_by_label("Password", exact=True).fill(password)
        self.page.locator("form").get_by_role("button", name="Sign in", exact=True).click()

    def register(self, username: str, password: str) -> None:
        """Fill in and send the form in view that registers a customer."""
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


def open_blank(page: Page) -> None:
    """Leave the shop for a page that does nothing, and whose storage is the shop's."""
    page.goto(BLANK)


def go_to(page: Page, path: str) -> None:
    """Follow a link to another view of the page at hand; wait until it has all that it shows."""
    page.evaluate(
        """(path) => new Promise((resolve) => {
            addEventListener("shopfleet:view", resolve, {once: true});
            location.hash = path;
        })""",
        path,
    )
    expect_content(page)


def expect_content(page: Page) -> None:
    """Wait until all answers are there for which the view has a place."""
    expect(page.locator("[aria-busy=true], .skeleton, .is-loading")).to_have_count(0)


@dataclass(frozen=True)
class Look:
    """A size and a theme in which pages are looked at."""

    name: str
    size: dict[str, int]
    scheme: str

    def put_on(self, page: Page) -> None:
        """Show the page this way."""
        page.set_viewport_size(self.size)
        page.emulate_media(color_scheme=self.scheme)

    def find_faults(self, page: Page) -> list[str]:
        """Return what is wrong with the page this way: barriers, a page too wide, the other theme."""
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
# The tests of all pages: with two looks that show all that is different, and with the rest.
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
    # Without the details of all that is well, which take half of the time.
    results: dict[str, Any] = page.evaluate("axe.run({resultTypes: ['violations']})")
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
def paused(stack: ProcessStack, *parts: str) -> Iterator[None]:
    """Stop parts of the stack where they are, and let them go on afterwards."""
    try:
        for part in parts:
            stack.pause(part)
        yield
    finally:
        for part in parts:
            stack.resume(part)
