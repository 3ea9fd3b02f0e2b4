"""Accounts: creating one, signing in and out, and keeping the cart of a guest."""

import secrets

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.shop

PASSWORD = "a long enough secret"


@pytest.fixture
def username() -> str:
    """A free username."""
    return f"ada-{secrets.token_hex(4)}"


def test_a_guest_with_a_full_cart_registers_and_keeps_it(
    page, shop, product, complaints, take_screenshot, username
):
    shop.add_to_cart(product)
    shop.fill_in_address()
    page.get_by_role("button", name="Sign in or create an account").click()
    dialog = page.get_by_role("dialog", name="Sign in or create an account")
    expect(dialog.get_by_label("Username")).to_be_visible()
    take_screenshot("register")
    shop.register(username, PASSWORD)
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("link", name=username)).to_be_visible()
    # The cart and the form keep their contents.
    shop.expect_cart(1)
    expect(page.get_by_label("City")).to_have_value("Springfield")
    shop.place_order()
    shop.expect_status("Paid")
    assert complaints == []


def test_a_guests_cart_moves_to_the_account_on_sign_in(page, shop, product, complaints, username):
    shop.open("/login")
    shop.register(username, PASSWORD)
    expect(page.get_by_role("link", name=username)).to_be_visible()
    page.get_by_role("link", name=username).click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    shop.add_to_cart(product)
    shop.open("/login")
    shop.sign_in(username, PASSWORD)
    expect(page.get_by_role("link", name=username)).to_be_visible()
    shop.expect_cart(1)
    assert complaints == []


def test_the_account_forms_show_errors(page, shop, complaints, take_screenshot, username):
    shop.open("/login")
    shop.sign_in(username, "not the password")
    expect(page.get_by_role("alert")).to_have_text("Incorrect username or password.")
    take_screenshot("sign-in-refused")
    shop.register("admin", PASSWORD)
    expect(page.get_by_role("alert")).to_have_text("This username is taken; choose another.")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password", exact=True).fill("password")
    page.locator("form").get_by_role("button", name="Create account", exact=True).click()
    expect(page.get_by_label("Password", exact=True)).to_have_accessible_description(
        "Password is too easy to guess; choose a different one. Use at least 8 characters."
    )
    assert [each for each in complaints if not any(status in each for status in ("401", "409", "422"))] == []


def test_a_changed_password_replaces_the_old_one(page, shop, take_screenshot, username):
    shop.open("/login?next=/account")
    shop.register(username, PASSWORD)
    expect(shop.heading).to_have_text("Your account")
    page.get_by_label("Current password").fill("something else")
    page.get_by_label("New password").fill(f"{PASSWORD}, a newer one")
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_label("Current password")).to_have_accessible_description(
        "Current password is not the account's password."
    )
    take_screenshot("account")
    page.get_by_label("Current password").fill(PASSWORD)
    page.get_by_role("button", name="Change password").click()
    expect(shop.toasts).to_contain_text("Password changed.")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    shop.open("/login")
    shop.sign_in(username, PASSWORD)
    expect(page.get_by_role("alert")).to_be_visible()
    shop.sign_in(username, f"{PASSWORD}, a newer one")
    expect(page.get_by_role("link", name=username)).to_be_visible()


def test_an_expired_token_is_renewed_without_a_complaint(page, shop, product, complaints):
    shop.add_to_cart(product)
    # Simulate the expiry of the token: remove it and expire the note.
    page.evaluate(
        """() => {
            const note = JSON.parse(localStorage.getItem("shopfleet.session"));
            localStorage.setItem("shopfleet.session", JSON.stringify({...note, expires_at: Date.now()}));
        }"""
    )
    page.context.clear_cookies(name="token")
    page.reload()
    shop.expect_cart(1)
    assert complaints == []


def test_a_customer_whose_session_expired_continues_as_a_guest(page, shop, username):
    shop.open("/login")
    shop.register(username, PASSWORD)
    expect(page.get_by_role("link", name=username)).to_be_visible()
    page.context.clear_cookies()
    shop.open("/orders")
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    expect(shop.toasts).to_contain_text("Your session expired")
    expect(page.get_by_role("heading", name="No orders yet")).to_be_visible()
