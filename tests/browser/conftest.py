"""A real Chromium on a running shop.

The tests of a worker share one page, which is cleaned between them. A new page would cost each test half a
second, because Chromium starts a process and fetches and compiles all scripts again.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Request,
    Response,
    expect,
    sync_playwright,
)

from tests.browser.back_office import add_product
from tests.browser.storefront import DESKTOP, Storefront, open_blank
from tests.stacks import ROOT, ProcessStack, Shopper
from tests.tiers import leaves_out_long

CHROMIUM = Path("/usr/bin/chromium")
SCREENSHOTS = ROOT / "tests" / "artifacts"
# Milliseconds. A busy machine is slow.
expect.set_options(timeout=30_000)
# Chromium aborts requests when Docker adds or removes a network of the machine.
NETWORK_CHANGED = "ERR_NETWORK_CHANGED"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give all files of this folder to one worker, which starts Chromium once, and imports once at a time."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, controlled by Playwright."""
    if not CHROMIUM.exists():
        assert not os.environ.get("REQUIRE_CHROMIUM"), (
            "REQUIRE_CHROMIUM is set, and there is no /usr/bin/chromium."
        )
        pytest.skip("The browser tests need /usr/bin/chromium.")
    options = ["--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]
    # Chromium's sandbox does not work for root.
    if os.geteuid() == 0:
        options.append("--no-sandbox")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def running(processes: ProcessStack) -> ProcessStack:
    """The stack that the page opens: the shared one, unless a module overrides it."""
    return processes


def open_context(browser: Browser, url: str) -> BrowserContext:
    """Open a browser context without cookies and with an empty cache; paths are relative to `url`."""
    return browser.new_context(base_url=url, viewport=DESKTOP, locale="en-US")


@pytest.fixture(scope="session")
def pages() -> dict[str, Page]:
    """The shared pages by the URL of their shop."""
    return {}


@pytest.fixture
def complaints() -> list[str]:
    """The browser's complaints: errors, blocked scripts and styles, failed requests."""
    return []


@pytest.fixture
def page(
    browser: Browser, pages: dict[str, Page], running: ProcessStack, complaints: list[str]
) -> Iterator[Page]:
    """A page without cookies, storage or other state of the previous test."""
    if running.url not in pages:
        pages[running.url] = open_context(browser, running.url).new_page()
    # The page returns to the pool only once it is clean.
    page = pages.pop(running.url)
    open_blank(page)

    def note(complaint: str) -> None:
        complaints.append(complaint)
        # A test that fails before it checks the complaints shows them in its log.
        logging.getLogger("browser").warning(complaint)

    def note_message(message: ConsoleMessage) -> None:
        # Chromium requests this icon for a document without a link to one, such as the blank page.
        is_icon = message.location["url"].endswith("/favicon.ico")
        if message.type == "error" and NETWORK_CHANGED not in message.text and not is_icon:
            note(message.text)

    def note_error(error: Exception) -> None:
        note(str(error))

    def note_failure(request: Request) -> None:
        # The page aborts requests that it no longer needs, such as an older search.
        if request.failure not in {"net::ERR_ABORTED", f"net::{NETWORK_CHANGED}"}:
            note(f"{request.url} failed: {request.failure}")

    def explain(response: Response) -> None:
        # The console has only the status; the response names the part that failed, and the reason.
        if response.status >= 500:
            with suppress(Error):
                logging.getLogger("browser").warning("%s: %s", response.url, response.text())

    listeners = {
        "console": note_message,
        "pageerror": note_error,
        "requestfailed": note_failure,
        "response": explain,
    }
    for event, listener in listeners.items():
        page.on(event, listener)
    yield page
    for event, listener in listeners.items():
        page.remove_listener(event, listener)
    clean(page)
    pages[running.url] = page


def clean(page: Page) -> None:
    """Reset a page to its initial state."""
    for other in page.context.pages:
        if other is not page:
            other.close()
    page.unroute_all(behavior="ignoreErrors")
    page.context.set_offline(False)
    open_blank(page)
    page.evaluate("localStorage.clear(); sessionStorage.clear()")
    page.context.clear_cookies()
    page.set_viewport_size(DESKTOP)
    page.emulate_media(color_scheme="light", reduced_motion="no-preference")
    # Hover styles would change screenshots.
    page.mouse.move(0, 0)


@pytest.fixture
def make_page(browser: Browser, running: ProcessStack) -> Iterator[Callable[[], Page]]:
    """Open pages with an empty cache, for tests that count or observe requests."""
    contexts: list[BrowserContext] = []

    def make() -> Page:
        contexts.append(open_context(browser, running.url))
        return contexts[-1].new_page()

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def shop(page: Page) -> Storefront:
    """The storefront in the page."""
    return Storefront(page)


@pytest.fixture
def admin(running: ProcessStack) -> Iterator[Shopper]:
    """The demo admin as a client of the API."""
    with Shopper(running.url) as shopper:
        shopper.log_in()
        yield shopper


@pytest.fixture(scope="module")
def product(running: ProcessStack) -> int:
    """The id of a product at 40 dollars that the tests of one module buy and none changes."""
    with Shopper(running.url) as admin:
        admin.log_in()
        return int(add_product(admin, on_hand=1000)["id"])


@pytest.fixture
def guest(running: ProcessStack) -> Iterator[Shopper]:
    """A guest as a client of the API."""
    with Shopper(running.url) as shopper:
        assert shopper.post("/auth/guest").status_code == 201
        yield shopper


@pytest.fixture
def take_screenshot(page: Page, request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Save a screenshot under `name` in tests/artifacts, if the run includes the long tier."""

    def take(name: str) -> None:
        if leaves_out_long(request.config):
            return
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(
            path=SCREENSHOTS / f"{name}.png", full_page=True, animations="disabled", timeout=60_000
        )

    return take
