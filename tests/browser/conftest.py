"""A real Chromium on a running shop.

One test after the other uses the same page of a worker, as if no other had used it before: a page of its own
costs each test half a second, because Chromium starts a process and fetches and compiles all scripts again.
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

CHROMIUM = Path("/usr/bin/chromium")
SCREENSHOTS = ROOT / "tests" / "artifacts"
# Milliseconds that something may take to be seen: a busy machine is slow, and is not broken.
expect.set_options(timeout=30_000)
# Chromium begins anew whatever is on its way when Docker adds a network to the machine, or takes one away.
NOT_OURS = "ERR_NETWORK_CHANGED"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, remote-controlled."""
    if not CHROMIUM.exists():
        assert not os.environ.get("REQUIRE_CHROMIUM"), (
            "REQUIRE_CHROMIUM is set, and there is no /usr/bin/chromium."
        )
        pytest.skip("no /usr/bin/chromium on this machine, so the browser's tests are left out")
    options = ["--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]
    # Chromium's own sandbox needs a user other than root.
    if os.geteuid() == 0:
        options.append("--no-sandbox")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def breakable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessStack]:
    """A stack of one worker, for tests that pause or kill its parts: those of `xdist_group("outages")`."""
    stack = ProcessStack(tmp_path_factory.mktemp("breakable") / "state", RATE_LIMITS="off")
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="session")
def running(processes: ProcessStack) -> ProcessStack:
    """The shop that the page is of: the one of all workers, unless a module says otherwise."""
    return processes


def open_context(browser: Browser, url: str) -> BrowserContext:
    """Open a browser window with no cookies and an empty cache, in which paths are the shop's."""
    return browser.new_context(base_url=url, viewport=DESKTOP, locale="en-US")


@pytest.fixture(scope="session")
def pages() -> dict[str, Page]:
    """The page of each shop that tests share, by the shop's URL."""
    return {}


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complains of: errors, refused scripts and styles, failed requests."""
    return []


@pytest.fixture
def page(
    browser: Browser, pages: dict[str, Page], running: ProcessStack, complaints: list[str]
) -> Iterator[Page]:
    """A page without cookies, storage or anything else of the test before."""
    if running.url not in pages:
        pages[running.url] = open_context(browser, running.url).new_page()
    # Until it is clean again, it is not offered to the next test.
    page = pages.pop(running.url)
    open_blank(page)

    def note(complaint: str) -> None:
        complaints.append(complaint)
        # A test that fails before it looks at the complaints shows them among its log records.
        logging.getLogger("browser").warning(complaint)

    def note_message(message: ConsoleMessage) -> None:
        # A document that names no icon, as the blank one, makes Chromium look for this one.
        is_icon = message.location["url"].endswith("/favicon.ico")
        if message.type == "error" and NOT_OURS not in message.text and not is_icon:
            note(message.text)

    def note_error(error: Exception) -> None:
        note(str(error))

    def note_failure(request: Request) -> None:
        # The page itself gives up what it does not wait for any more, such as the answer to an older search.
        if request.failure not in {"net::ERR_ABORTED", f"net::{NOT_OURS}"}:
            note(f"{request.url} failed: {request.failure}")

    def explain(response: Response) -> None:
        # The console names the status alone; the answer says which part failed, and why.
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
    """Make a page one that no test has used."""
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
    # What is under the mouse looks different.
    page.mouse.move(0, 0)


@pytest.fixture
def make_page(browser: Browser, running: ProcessStack) -> Iterator[Callable[[], Page]]:
    """Open pages with a cache of their own, for tests that count requests or listen to them."""
    contexts: list[BrowserContext] = []

    def make() -> Page:
        contexts.append(open_context(browser, running.url))
        return contexts[-1].new_page()

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def shop(page: Page) -> Storefront:
    """The shop in that page, with what people do there."""
    return Storefront(page)


@pytest.fixture
def admin(running: ProcessStack) -> Iterator[Shopper]:
    """The demo admin, who calls the API without a browser."""
    with Shopper(running.url) as shopper:
        shopper.log_in()
        yield shopper


@pytest.fixture(scope="module")
def product(running: ProcessStack) -> int:
    """The id of a product at 40 dollars that only one module's tests buy, and none changes."""
    with Shopper(running.url) as admin:
        admin.log_in()
        return int(add_product(admin, on_hand=1000)["id"])


@pytest.fixture
def guest(running: ProcessStack) -> Iterator[Shopper]:
    """A guest who calls the API without a browser."""
    with Shopper(running.url) as shopper:
        assert shopper.post("/auth/guest").status_code == 201
        yield shopper


@pytest.fixture
def take_screenshot(page: Page, request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Save a picture to look at, under the test's name, where the tests of the tier `long` run, too."""

    def take(name: str) -> None:
        if "not long" in request.config.getoption("markexpr"):
            return
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(
            path=SCREENSHOTS / f"{name}.png", full_page=True, animations="disabled", timeout=60_000
        )

    return take
