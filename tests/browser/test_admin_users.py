"""What an admin does with users and programs, and how others are turned away."""

import re
import secrets
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.back_office import (
    confirm,
    log_in,
    open_back_office,
    open_user,
    register,
    wait_for_content,
)
from tests.stacks import ProcessStack, Shopper
from tests.waiting import wait_for

pytestmark = pytest.mark.shop


@pytest.fixture
def customer(processes: ProcessStack) -> Iterator[Shopper]:
    """A customer who has just registered; `name` is the user name."""
    with Shopper(processes.url) as shopper:
        shopper.name = register(shopper)
        yield shopper


def test_an_account_is_disabled_and_opened_again(page, complaints, take_screenshot, processes, customer):
    open_user(page, customer.name)
    page.get_by_role("button", name="Disable the account").click()
    take_screenshot("admin-user-disable")
    confirm(page, "Disable")
    expect(page.locator(".page-title .badge")).to_have_text("Disabled")
    wait_for(lambda: customer.get("/auth/me").status_code == 401)
    credentials = {"username": customer.name, "password": "correct horse battery"}
    assert customer.post("/auth", json=credentials).status_code == 401

    page.get_by_role("button", name="Open the account").click()
    confirm(page, "Open it")
    expect(page.locator(".page-title .badge")).to_have_text("Active")
    with Shopper(processes.url) as again:
        assert again.post("/auth", json=credentials).status_code == 200
    take_screenshot("admin-user")
    assert complaints == []


def test_a_session_is_ended_and_then_all_of_them(page, complaints, processes, customer):
    with Shopper(processes.url) as elsewhere:
        credentials = {"username": customer.name, "password": "correct horse battery"}
        elsewhere.headers["User-Agent"] = "a phone"
        assert elsewhere.post("/auth", json=credentials).status_code == 200
        open_user(page, customer.name)
        page.get_by_role("button", name="Sign out of a phone").click()
        confirm(page, "Sign out")
        wait_for(lambda: elsewhere.get("/auth/me").status_code == 401)
        assert customer.get("/auth/me").status_code == 200
        expect(page.get_by_role("row", name="a phone")).to_have_count(0)

        page.get_by_role("button", name="Sign out everywhere").click()
        confirm(page, "Sign out everywhere")
        wait_for(lambda: customer.get("/auth/me").status_code == 401)
        expect(page.get_by_text("The user is logged in nowhere.")).to_be_visible()
    assert complaints == []


def test_a_customer_becomes_an_admin_and_a_customer_again(page, complaints, admin, customer):
    open_user(page, customer.name)
    for role in ("admin", "customer"):
        page.get_by_label("Role").select_option(role)
        page.get_by_role("button", name="Change role").click()
        confirm(page, f"Make {role}")
        expect(page.get_by_text(f"{customer.name} is {role} now.")).to_be_visible()
        [user] = admin.get("/auth/users", params={"q": customer.name}).json()["data"]
        assert user["role"] == role
    assert complaints == []


def test_users_are_searched_by_role_and_state_and_the_address_keeps_it(
    page, complaints, take_screenshot, customer
):
    open_back_office(page, f"users?q={customer.name}&role=customer")
    expect(page.get_by_text("1 user", exact=True)).to_be_visible()
    expect(page.get_by_role("row", name=customer.name)).to_contain_text("Active")
    take_screenshot("admin-users")
    page.get_by_label("State").select_option("true")
    expect(page.get_by_text("Nobody fits")).to_be_visible()
    expect(page).to_have_url(re.compile("role=customer&disabled=true"))
    assert complaints == []


def test_a_program_gets_a_secret_that_is_shown_once(page, complaints, take_screenshot, processes):
    open_back_office(page, "clients")
    collector = f"Collector {secrets.token_hex(4)}"
    page.get_by_label("Name").fill(collector)
    page.get_by_label("logs:write").check()
    page.get_by_role("button", name="Make a client").click()
    dialog = page.get_by_role("dialog")
    secret = dialog.get_by_label("Secret").input_value()
    name = dialog.get_by_label("Client id").input_value()
    take_screenshot("admin-client-secret")
    dialog.get_by_role("button", name="I have it").click()
    row = page.get_by_role("row", name=collector)
    expect(row).to_contain_text("logs:write")
    assert secret not in page.content()

    with Shopper(processes.url) as program:
        grant = {"grant_type": "client_credentials"}
        assert program.post("/auth/token", data=grant, auth=(name, secret)).status_code == 200
        row.get_by_role("button", name="Remove").click()
        confirm(page, "Remove")
        expect(row).to_have_count(0)
        assert program.post("/auth/token", data=grant, auth=(name, secret)).status_code == 401
    assert complaints == []


def test_a_guest_and_a_customer_are_turned_away(page, complaints, take_screenshot, customer):
    page.goto("/#/admin/orders")
    expect(page.get_by_role("heading", name="This is for admins")).to_be_visible()
    log_in(page, customer.name, "correct horse battery")
    expect(page.get_by_text(f"You are signed in as {customer.name}, who is no admin.")).to_be_visible()
    expect(page.get_by_role("navigation", name="Back office")).to_have_count(0)
    take_screenshot("admin-turned-away")

    # The log-in leads back to the page that was asked for.
    page.get_by_role("button", name="Sign in as somebody else").click()
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password", exact=True).fill("admin")
    page.locator("main form").get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Orders", level=1)).to_be_visible()
    expect(page).to_have_url(re.compile("#/admin/orders$"))
    assert complaints == []


def test_an_admin_who_signs_out_is_asked_to_sign_in(page, complaints):
    # What is on its way while the session ends is refused, and the browser would complain of it.
    with page.expect_response("**/cart"):
        open_back_office(page, "users")
    wait_for_content(page)
    page.evaluate("import('/assets/lib/session.js').then(({session}) => session.logOut())")
    expect(page.get_by_text("This is for admins")).to_be_visible()
    assert complaints == []
