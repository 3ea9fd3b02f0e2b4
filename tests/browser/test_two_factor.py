"""Two-factor authentication and sessions on the account page, and the log-in with a code."""

import re
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest
import segno
from playwright.sync_api import Page, Route, expect

from tests.browser.account_pages import begin, find_section, sign_out, turn_on
from tests.browser.back_office import leave_out
from tests.browser.storefront import ORDINARY, Storefront, each_set_of_looks

pytestmark = pytest.mark.shop

PASSWORD = "a long enough secret"


@pytest.fixture
def username(page: Page, shop: Storefront) -> str:
    """The name of a new customer, whose account page is open."""
    name = f"ada-{secrets.token_hex(4)}"
    shop.open("/login?next=/account")
    shop.register(name, PASSWORD)
    expect(shop.heading).to_have_text("Your account")
    return name


def give_password(shop: Storefront, username: str) -> None:
    """Open the form to sign in and complete its first step."""
    shop.open("/login?next=/account")
    shop.sign_in(username, PASSWORD)


def read_modules(path: str) -> set[tuple[int, int]]:
    """Return the dark modules of a drawn QR code as (x, y)."""
    runs = re.findall(r"M(\d+) (\d+)h(\d+)v1h-\3z", path)
    return {(int(x) + step, int(y)) for x, y, length in runs for step in range(int(length))}


def test_a_user_turns_it_on_signs_in_with_codes_and_turns_it_off(page, shop, complaints, username):
    section = find_section(page)
    section.get_by_label("Password").fill("not the password")
    section.get_by_role("button", name="Set up").click()
    expect(section.get_by_label("Password")).to_have_accessible_description(
        "Password is not the account's password."
    )
    app = begin(page, PASSWORD)
    section.get_by_label("Code", exact=True).fill("no code")
    section.get_by_role("button", name="Turn on").click()
    expect(section.get_by_label("Code", exact=True)).to_have_accessible_description(
        re.compile("^Code is wrong, too old or already used.")
    )
    section.get_by_label("Code", exact=True).fill(app.read_code())
    section.get_by_role("button", name="Turn on").click()
    codes = section.locator(".recovery-codes li")
    expect(codes).to_have_count(10)
    recovery = codes.all_text_contents()
    section.get_by_role("button", name="I have saved them").click()
    expect(section).to_contain_text("10 recovery codes left.")

    sign_out(page)
    give_password(shop, username)
    code = page.get_by_label("Code", exact=True)
    expect(code).to_be_focused()
    expect(page.get_by_label("Username")).to_be_hidden()
    assert (code.get_attribute("autocomplete"), code.get_attribute("inputmode")) == (
        "one-time-code",
        "numeric",
    )
    code.fill("no code")
    code.press("Enter")
    expect(code).to_have_accessible_description(re.compile("^The code is wrong, too old or already used."))
    code.fill(app.read_code())
    code.press("Enter")
    expect(shop.heading).to_have_text("Your account")

    sign_out(page)
    give_password(shop, username)
    page.get_by_role("button", name="Use a recovery code").click()
    expect(page.get_by_label("Recovery code")).to_be_focused()
    page.get_by_label("Recovery code").fill(recovery[0].upper())
    page.locator("form").get_by_role("button", name="Sign in", exact=True).click()
    expect(section).to_contain_text("9 recovery codes left.")

    section.get_by_label("Password").fill(PASSWORD)
    section.get_by_label("Code", exact=True).fill("no code")
    section.get_by_role("button", name="Turn off").click()
    expect(section.get_by_label("Code", exact=True)).to_have_accessible_description(
        re.compile("^Code is wrong, too old or already used.")
    )
    section.get_by_label("Code", exact=True).fill(app.read_code())
    section.get_by_role("button", name="Turn off").click()
    expect(section.get_by_role("button", name="Set up")).to_be_visible()
    sign_out(page)
    give_password(shop, username)
    expect(shop.heading).to_have_text("Your account")
    assert leave_out(complaints, 401, 422) == []


def test_the_qr_code_is_drawn_from_the_key(page, username):
    begin(page, PASSWORD)
    section = find_section(page)
    uri = section.get_by_role("link", name="Open it in an app").get_attribute("href")
    assert f":{username}?secret={section.locator('.secret').text_content().replace(' ', '')}&" in uri
    drawn = read_modules(section.get_by_role("img", name="QR code").locator("path").get_attribute("d"))
    rows = enumerate(segno.make(uri, micro=False).matrix)
    assert drawn == {(x, y) for y, row in rows for x, module in enumerate(row) if module}


def test_the_recovery_codes_are_copied_and_downloaded(page, username, tmp_path):
    app, section = begin(page, PASSWORD), find_section(page)
    section.get_by_label("Code", exact=True).fill(app.read_code())
    section.get_by_role("button", name="Turn on").click()
    codes = section.locator(".recovery-codes li")
    expect(codes).to_have_count(10)
    text = "".join(f"{code}\n" for code in codes.all_text_contents())
    with page.expect_download() as started:
        section.get_by_role("button", name="Download").click()
    started.value.save_as(tmp_path / "codes.txt")
    assert Path(tmp_path / "codes.txt").read_text() == text
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    section.get_by_role("button", name="Copy").click()
    expect(page.locator(".toasts")).to_contain_text("Codes copied.")
    assert page.evaluate("navigator.clipboard.readText()") == text
    page.context.clear_permissions()


def test_the_first_step_of_the_log_in_can_be_changed_and_is_kept(page, shop, username):
    app, _ = turn_on(page, PASSWORD)
    sign_out(page)
    give_password(shop, username)
    expect(page.get_by_label("Code", exact=True)).to_be_focused()
    expect(page.get_by_role("button", name="Create an account")).to_be_hidden()
    page.get_by_role("button", name="Change").click()
    expect(page.get_by_label("Username")).to_be_focused()
    expect(page.get_by_label("Username")).to_have_value(username)
    expect(page.get_by_label("Password", exact=True)).to_have_value(PASSWORD)
    expect(page.get_by_role("button", name="Create an account")).to_be_visible()
    page.get_by_label("Password", exact=True).press("Enter")
    page.get_by_label("Code", exact=True).fill(app.read_code())
    page.get_by_label("Code", exact=True).press("Enter")
    expect(shop.heading).to_have_text("Your account")


def test_a_user_ends_the_session_of_a_different_browser(
    page: Page, shop: Storefront, username: str, make_page: Callable[[], Page]
) -> None:
    other = make_page()
    give_password(Storefront(other), username)
    theirs = find_section(other, "Sessions")
    expect(theirs.get_by_role("listitem")).to_have_count(2)
    expect(theirs.get_by_text("This device")).to_have_count(1)
    page.reload()
    section = find_section(page, "Sessions")
    expect(section.get_by_role("listitem")).to_have_count(2)
    expect(section.get_by_role("listitem").first).to_contain_text("Chrome on Linux")
    section.get_by_role("button", name="Sign out").click()
    expect(shop.toasts).to_contain_text("Signed out on that device.")
    expect(section.get_by_role("listitem")).to_have_count(1)
    expect(section.get_by_role("heading", name="Sessions")).to_be_focused()
    expect(section.get_by_text("This device")).to_be_visible()
    other.reload()
    expect(other.get_by_role("heading", name="Sign in", level=1)).to_be_visible()
    expect(other.get_by_role("link", name="Sign in")).to_be_visible()
    expect(page.get_by_role("link", name=username)).to_be_visible()


def test_turning_it_on_removes_the_other_sessions_from_the_list(page, username, make_page):
    other = Storefront(make_page())
    give_password(other, username)
    expect(other.heading).to_have_text("Your account")
    page.reload()
    expect(find_section(page, "Sessions").get_by_role("listitem")).to_have_count(2)
    turn_on(page, PASSWORD)
    expect(find_section(page, "Sessions").get_by_role("listitem")).to_have_count(1)


def test_staff_who_need_it_are_led_to_it(page, shop, username):
    """The service answers as with REQUIRE_STAFF_TOTP; tests/auth/test_totp.py tests the setting."""

    def demand(route: Route) -> None:
        answer = route.fetch()
        changes = {"/auth/me": {"role": "admin"}}.get(route.request.url.removeprefix(page_origin), {})
        route.fulfill(response=answer, json={**answer.json(), **changes, "totp_required": True})

    page_origin = page.evaluate("location.origin")
    sign_out(page)
    page.route("**/auth", demand)
    page.route("**/auth/me", demand)
    shop.open("/login?next=/orders")
    shop.sign_in(username, PASSWORD)
    expect(shop.heading).to_have_text("Your account")
    expect(shop.toasts).to_contain_text("Turn on two-factor authentication to open the back office.")
    expect(find_section(page).locator(".note")).to_contain_text("Your role (admin) needs it.")
    shop.open("/admin")
    expect(page.get_by_role("heading", name="Two-factor authentication needed")).to_be_visible()
    page.get_by_role("button", name="Turn it on").click()
    expect(shop.heading).to_have_text("Your account")


@each_set_of_looks
def test_every_step_is_accessible_in_every_look(page, shop, username, take_screenshot, looks):
    faults = {}

    def look(name: str) -> None:
        for each in looks:
            faults[name, each.name] = each.find_faults(page)
            take_screenshot(f"two-factor-{name}-{each.name}")
        ORDINARY.put_on(page)

    section = find_section(page)
    expect(find_section(page, "Sessions").get_by_role("listitem")).to_have_count(1)
    look("off")
    app = begin(page, PASSWORD)
    look("key")
    section.get_by_label("Code", exact=True).fill(app.read_code())
    section.get_by_role("button", name="Turn on").click()
    expect(section.locator(".recovery-codes li")).to_have_count(10)
    look("recovery-codes")
    section.get_by_role("button", name="I have saved them").click()
    expect(section).to_contain_text("10 recovery codes left.")
    look("on")
    sign_out(page)
    give_password(shop, username)
    expect(page.get_by_label("Code", exact=True)).to_be_focused()
    look("log-in")
    page.get_by_role("button", name="Use a recovery code").click()
    page.get_by_label("Recovery code").press("Enter")
    look("log-in-recovery")
    assert {step: found for step, found in faults.items() if found} == {}
