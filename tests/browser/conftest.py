"""A real Chromium on the process stack."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.browser.storefront import Storefront
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


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complains of: errors, refused scripts and styles, failed requests."""
    return []


@pytest.fixture
def page(browser: Browser, processes: ProcessStack, complaints: list[str]) -> Iterator[Page]:
    """An empty page whose paths are the shop's."""
    context = browser.new_context(
        base_url=processes.url, viewport={"width": 1200, "height": 900}, locale="en-US"
    )
    page = context.new_page()

    def note_message(message: ConsoleMessage) -> None:
        if message.type == "error" and NOT_OURS not in message.text:
            complaints.append(message.text)

    page.on("console", note_message)
    page.on("pageerror", lambda error: complaints.append(str(error)))

    def note_failure(request: Request) -> None:
        # The page itself gives up what nobody waits for any more, such as the answer to an older search.
        if request.failure not in {"net::ERR_ABORTED", f"net::{NOT_OURS}"}:
            complaints.append(f"{request.url} failed")

    page.on("requestfailed", note_failure)
    yield page
    context.close()


@pytest.fixture
def shop(page: Page) -> Storefront:
    """The shop in that page, with what people do there."""
    return Storefront(page)


@pytest.fixture
def admin(processes: ProcessStack) -> Iterator[Shopper]:
    """The demo admin, who calls the API without a browser."""
    with Shopper(processes.url) as shopper:
        shopper.log_in()
        yield shopper


@pytest.fixture
def take_screenshot(page: Page) -> Callable[[str], None]:
    """Save a picture to look at, under the test's name."""

    def take(name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(
            path=SCREENSHOTS / f"{name}.png", full_page=True, animations="disabled", timeout=60_000
        )

    return take
