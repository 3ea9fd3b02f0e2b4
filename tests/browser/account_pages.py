"""A customer's actions on the account page, and an authenticator app."""

import time

import pyotp
from playwright.sync_api import Locator, Page, expect

from tests.waiting import wait_for

STEP = 30  # Seconds.
MARGIN = 10  # Seconds that a code may take from here to the service.


class App:
    """An authenticator app, which shows each code once."""

    def __init__(self, secret: str) -> None:
        self.totp = pyotp.TOTP(secret)
        self.last = 0

    def read_code(self) -> str:
        """Return a code of a later time step than before, as soon as the service accepts it."""
        self.last = max(self.last + 1, int((time.time() + MARGIN) // STEP) - 1)
        # The service accepts the code of the next step, because clocks differ.
        wait_for(lambda: time.time() // STEP + 1 >= self.last, seconds=2 * STEP)
        return self.totp.generate_otp(self.last)


def find_section(page: Page, name: str = "Two-factor authentication") -> Locator:
    """Return a section of the account page."""
    return page.get_by_role("region", name=name)


def begin(page: Page, password: str) -> App:
    """Set two-factor authentication up, up to the QR code; return the app that has the key."""
    section = find_section(page)
    section.get_by_label("Password").fill(password)
    section.get_by_role("button", name="Set up").click()
    return App(section.locator(".secret").text_content().replace(" ", ""))


def turn_on(page: Page, password: str) -> tuple[App, list[str]]:
    """Turn two-factor authentication on; return the app and the recovery codes."""
    app, section = begin(page, password), find_section(page)
    section.get_by_label("Code", exact=True).fill(app.read_code())
    section.get_by_role("button", name="Turn on").click()
    expect(section.locator(".recovery-codes li")).to_have_count(10)
    codes = section.locator(".recovery-codes li").all_text_contents()
    section.get_by_role("button", name="I have saved them").click()
    expect(section).to_contain_text("10 recovery codes left.")
    return app, codes


def sign_out(page: Page) -> None:
    """Sign out on the account page."""
    find_section(page, "Profile").get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
