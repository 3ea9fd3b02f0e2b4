"""Users and API clients in the back office, and who may open it."""

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
    """A new customer; `name` is the username."""
    with Shopper(processes.url) as shopper:
        shopper.name = register(shopper)
        yield shopper


def test_an_account_is_disabled_and_enabled_again(page, complaints, take_screenshot, processes, customer):
    open_user(page, customer.name)
    page.get_by_role("button", name="Disable account").click()
    take_screenshot("admin-user-disable")
    confirm(page, "Disable")
    expect(page.locator(".page-title .badge")).to_have_text("Disabled")
    wait_for(lambda: customer.get("/auth/me").status_code == 401)
    credentials = {"username": customer.name, "password": "correct horse battery"}
    assert customer.post("/auth", json=credentials).status_code == 401

    page.get_by_role("button", name="Enable account").click()
    confirm(page, "Enable")
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
        expect(page.get_by_text("No active sessions.")).to_be_visible()
    assert complaints == []


def test_a_customer_becomes_an_admin_and_a_customer_again(page, complaints, admin, customer):
    open_user(page, customer.name)
    for role in ("admin", "customer"):
        page.get_by_label("Role").select_option(role)
        page.get_by_role("button", name="Change role").click()
        page.get_by_label("Your password").fill("admin")
        confirm(page, f"Make {role}")
        expect(page.get_by_text(f"Role changed to {role}.")).to_be_visible()
        [user] = admin.get("/auth/users", params={"q": customer.name}).json()["data"]
        assert user["role"] == role
    assert complaints == []


def test_the_url_keeps_the_filters_of_users(page, complaints, take_screenshot, customer):
    open_back_office(page, f"users?q={customer.name}&role=customer")
    expect(page.get_by_text("1 user", exact=True)).to_be_visible()
    expect(page.get_by_role("row", name=customer.name)).to_contain_text("Active")
    take_screenshot("admin-users")
    page.get_by_label("Status").select_option("true")
    expect(page.get_by_text("No users match these filters")).to_be_visible()
    expect(page).to_have_url(re.compile("role=customer&disabled=true"))
    assert complaints == []


def test_the_secret_of_an_api_client_is_shown_once(page, complaints, take_screenshot, processes):
    open_back_office(page, "clients")
    collector = f"Collector {secrets.token_hex(4)}"
    page.get_by_label("Name").fill(collector)
    page.get_by_label("logs:write").check()
    page.get_by_role("button", name="Create client").click()
    dialog = page.get_by_role("dialog")
    secret = dialog.get_by_label("Secret").input_value()
    name = dialog.get_by_label("Client ID").input_value()
    take_screenshot("admin-client-secret")
    dialog.get_by_role("button", name="Done").click()
    row = page.get_by_role("row", name=collector)
    expect(row).to_contain_text("logs:write")
    assert secret not in page.content()

    with Shopper(processes.url) as program:
        grant = {"grant_type": "client_credentials"}
        assert program.post("/auth/token", data=grant, auth=(name, secret)).status_code == 200
        row.get_by_role("button", name="Delete").click()
        confirm(page, "Delete")
        expect(row).to_have_count(0)
        assert program.post("/auth/token", data=grant, auth=(name, secret)).status_code == 401
    assert complaints == []


def test_only_staff_open_the_back_office(page, complaints, take_screenshot, customer):
    page.goto("/#/admin/orders")
    expect(page.get_by_role("heading", name="Staff only")).to_be_visible()
    log_in(page, customer.name, "correct horse battery")
    expect(
        page.get_by_text(
            f"You are signed in as {customer.name}, which is not an account of the shop's staff."
        )
    ).to_be_visible()
    expect(page.get_by_role("navigation", name="Back office")).to_have_count(0)
    take_screenshot("admin-turned-away")

    # After signing in, the admin returns to the requested page.
    page.get_by_role("button", name="Switch account").click()
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password", exact=True).fill("admin")
    page.locator("main form").get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Orders", level=1)).to_be_visible()
    expect(page).to_have_url(re.compile("#/admin/orders$"))
    assert complaints == []


def test_an_admin_who_signs_out_is_asked_to_sign_in(page, complaints):
    # A request that is still open when the session ends would fail, and the browser would complain.
    with page.expect_response("**/cart"):
        open_back_office(page, "users")
    wait_for_content(page)
    page.evaluate("import('/assets/lib/session.js').then(({session}) => session.logOut())")
    expect(page.get_by_text("Staff only")).to_be_visible()
    assert complaints == []
