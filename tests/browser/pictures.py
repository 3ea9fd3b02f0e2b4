"""Take the README's pictures of a running shop: `URL=http://localhost:8080 python -m tests.browser.pictures`.

The script makes a purchase and writes to `pictures/`. The pictures of the back office need the demo admin.
"""

import os
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.conftest import CHROMIUM
from tests.browser.storefront import CHALLENGED, Storefront, expect_content, go_to
from tests.stacks import ROOT
from tests.waiting import wait_for

PICTURES = ROOT / "pictures"
SIZE = {"width": 1200, "height": 800}
# The paths in the back office by the names of their pictures.
BACK_OFFICE = {
    "admin-orders": "/admin/orders",
    "admin-products": "/admin/products",
    "admin-logs": "/admin/logs",
    "admin-services": "/admin/services",
}


def take(page: Page, name: str) -> Path:
    """Save a screenshot of the viewport; return its path."""
    expect_content(page)
    # Toasts would cover the page.
    page.evaluate("document.querySelectorAll('.toast').forEach((toast) => toast.remove())")
    page.evaluate("scrollTo(0, 0)")
    in_view = "(image) => image.complete || image.getBoundingClientRect().top > innerHeight"
    # Playwright's own wait evaluates a string, which the page's CSP forbids.
    wait_for(lambda: page.evaluate(f"Array.from(document.images).every({in_view})"))
    page.wait_for_load_state("networkidle")
    path = PICTURES / f"{name}.jpg"
    page.screenshot(path=path, type="jpeg", quality=82, animations="disabled")
    return path


def take_shop(page: Page) -> None:
    """Take the pictures of a purchase by a guest."""
    shop = Storefront(page)
    shop.open()
    expect(shop.cards.first).to_be_visible()
    take(page, "products")
    shop.add_to_cart(10)
    shop.add_to_cart(4)
    take(page, "product")
    shop.open_cart()
    take(page, "cart")
    page.keyboard.press("Escape")
    shop.fill_in_address()
    page.get_by_label(CHALLENGED).check()
    page.set_viewport_size({"width": SIZE["width"], "height": 1250})
    take(page, "checkout")
    page.set_viewport_size(SIZE)
    shop.place_order(CHALLENGED)
    page.get_by_role("button", name="Approve payment").click()
    shop.expect_status("Paid")
    take(page, "order")


def take_phone(page: Page) -> None:
    """Take the picture of the shop on a phone in dark mode."""
    page.set_viewport_size({"width": 390, "height": 800})
    page.emulate_media(color_scheme="dark")
    Storefront(page).open()
    take(page, "phone")


def take_back_office(page: Page) -> None:
    """Take the pictures of the back office, as the demo admin."""
    shop = Storefront(page)
    shop.open("/login")
    shop.sign_in(os.environ.get("DEMO_USER", "admin"), os.environ.get("DEMO_PASSWORD", "admin"))
    expect(page.get_by_role("link", name="Back office")).to_be_visible()
    for name, path in BACK_OFFICE.items():
        go_to(page, path)
        take(page, name)


def main() -> None:
    """Take all pictures."""
    PICTURES.mkdir(exist_ok=True)
    url = os.environ.get("URL", "http://localhost:8080")
    with sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=options)
        for take_part in (take_shop, take_phone, take_back_office):
            take_part(_open_page(browser, url))
        browser.close()
    for path in sorted(PICTURES.glob("*.jpg")):
        print(f"{path.relative_to(ROOT)}  {path.stat().st_size // 1024} KiB")  # noqa: T201


def _open_page(browser: Browser, url: str) -> Page:
    return browser.new_context(base_url=url, viewport=SIZE, locale="en-US").new_page()


if __name__ == "__main__":
    main()
