"""Accounts by email: verify an address, reset a password, and find an order by a mailed link."""

import re
import secrets

import pytest
from playwright.sync_api import expect

from tests.browser.account_pages import sign_out, turn_on
from tests.waiting import wait_for

pytestmark = pytest.mark.shop

PASSWORD, NEW_PASSWORD = "a long enough secret", "another long enough secret"
LINK = re.compile(r"http\S+(/#/\S+)")


@pytest.fixture
def username() -> str:
    """A free username."""
    return f"ada-{secrets.token_hex(4)}"


@pytest.fixture
def address(username) -> str:
    """An address that no other test uses."""
    return f"{username}@example.com"


@pytest.fixture
def read_link(admin):
    """Return a function that waits for a mail of a kind to an address, and returns its link's path."""

    def read(service: str, kind: str, recipient: str) -> str:
        def find() -> list[dict]:
            page = admin.get(f"/{service}/mails?limit=100").json()["data"]
            return [mail for mail in page if (mail["kind"], mail["recipient"]) == (kind, recipient)]

        mail = wait_for(find)[0]
        text = admin.get(f"/{service}/mails/{mail['id']}").json()["text"]
        return LINK.search(text)[1].removeprefix("/#")

    return read


def register(page, shop, username, address, password=PASSWORD):
    """Create an account with an address."""
    shop.open("/login?next=/account")
    page.get_by_role("button", name="Create an account", exact=True).click()
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_label("Email").fill(address)
    page.locator("form").get_by_role("button", name="Create account", exact=True).click()
    expect(shop.heading).to_have_text("Your account")


def verify(page, shop, link):
    """Open a link that verifies an address, and use it."""
    shop.open(link)
    page.get_by_role("button", name="Verify address").click()
    expect(page.get_by_role("status").filter(has_text="is verified")).to_be_visible()


def read_number(page) -> str:
    """Return the number of the order in view."""
    return re.search("Order number ([0-9]+)", page.locator("main").inner_text())[1]


def find_by_mail(page, shop, number, address):
    """Ask for a link to an order."""
    shop.open("/orders")
    page.get_by_role("link", name="Find your order").click()
    page.get_by_label("Order number").fill(f"#{number}")
    page.get_by_label("Email").fill(address)
    page.get_by_role("button", name="Send link").click()
    expect(page.get_by_role("status").filter(has_text=address)).to_be_visible()


def test_a_customer_verifies_resets_turns_two_factor_on_signs_in_and_finds_the_order_by_mail(
    page, shop, product, complaints, take_screenshot, read_link, username, address
):
    register(page, shop, username, address)
    expect(page.get_by_role("region", name="Email")).to_contain_text("Not verified")
    take_screenshot("account-email")
    verify(page, shop, read_link("auth", "email_verify", address))
    take_screenshot("verify-email")
    shop.open("/account")
    expect(page.get_by_role("region", name="Email").get_by_text("Verified", exact=True)).to_be_visible()
    sign_out(page)

    shop.open("/login")
    page.get_by_role("link", name="Forgot your password?").click()
    page.get_by_label("Email").fill(address)
    page.get_by_role("button", name="Send link").click()
    expect(
        page.get_by_role("status").filter(has_text=f"If an account has the address {address}")
    ).to_be_visible()
    take_screenshot("forgot-password")
    shop.open(read_link("auth", "password_reset", address))
    # The token is not left in the address.
    expect(page).to_have_url(re.compile("/#/reset-password$"))
    take_screenshot("reset-password")
    page.get_by_label("New password").fill(NEW_PASSWORD)
    page.get_by_role("button", name="Set password").click()
    expect(shop.toasts).to_contain_text("Password changed")
    # The verified address serves as the name.
    shop.sign_in(address, NEW_PASSWORD)
    expect(page.get_by_role("link", name="Orders", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name=address)).to_be_visible()

    shop.open("/account")
    app, _codes = turn_on(page, NEW_PASSWORD)
    sign_out(page)
    shop.open("/login")
    shop.sign_in(username, NEW_PASSWORD)
    page.get_by_label("Code", exact=True).fill(app.read_code())
    page.locator("form").get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("link", name=username)).to_be_visible()
    shop.add_to_cart(product)
    shop.fill_in_address()
    page.get_by_label("Email").fill(address)
    shop.place_order()
    shop.expect_status("Paid")
    number = read_number(page)
    # On another device, without the account.
    page.context.clear_cookies()
    page.evaluate("localStorage.clear()")
    find_by_mail(page, shop, number, address)
    shop.open(read_link("orders", "order_lookup", address))
    expect(shop.heading).to_have_text(f"Order {number}")
    # The log-in without a code.
    assert [each for each in complaints if "401" not in each] == []


def test_a_used_link_offers_a_new_one(page, shop, read_link, username, address):
    register(page, shop, username, address)
    link = read_link("auth", "email_verify", address)
    verify(page, shop, link)
    shop.open(link)
    page.get_by_role("button", name="Verify address").click()
    expect(page.get_by_role("alert")).to_have_text("This link does not work any more.")
    expect(page.get_by_role("link", name="Request a new link")).to_be_visible()
    shop.open("/reset-password?token=unknown")
    page.get_by_label("New password").fill(NEW_PASSWORD)
    page.get_by_role("button", name="Set password").click()
    expect(page.get_by_role("alert")).to_have_text("This link does not work any more.")


def test_a_guest_finds_an_order_by_mail(page, shop, product, complaints, take_screenshot, read_link, address):
    shop.add_to_cart(product)
    shop.fill_in_address()
    page.get_by_label("Email").fill(address)
    shop.place_order()
    shop.expect_status("Paid")
    number = read_number(page)
    page.context.clear_cookies()
    page.evaluate("localStorage.clear()")
    find_by_mail(page, shop, number, address)
    take_screenshot("find-order")
    shop.open(read_link("orders", "order_lookup", address))
    expect(shop.heading).to_have_text(f"Order {number}")
    expect(page.get_by_role("region", name="Shipping address")).to_contain_text("1 Long Lane")
    take_screenshot("order-link")
    assert complaints == []


def test_a_guests_orders_are_offered_to_the_account_that_verifies_their_address(
    page, shop, product, complaints, take_screenshot, read_link, username, address
):
    shop.add_to_cart(product)
    shop.fill_in_address()
    page.get_by_label("Email").fill(address)
    shop.place_order()
    shop.expect_status("Paid")
    order = shop.order_id
    page.context.clear_cookies()
    page.evaluate("localStorage.clear()")

    register(page, shop, username, address)
    shop.open("/orders")
    expect(page.get_by_role("heading", name="No orders yet")).to_be_visible()
    expect(page.get_by_role("button", name="Add it to your account")).to_be_hidden()
    verify(page, shop, read_link("auth", "email_verify", address))
    shop.open("/orders")
    expect(page.get_by_role("button", name="Add it to your account")).to_be_visible()
    take_screenshot("claimable-orders")
    page.get_by_role("button", name="Add it to your account").click()
    expect(page.locator(f"a[href$='/orders/{order}']")).to_be_visible()
    assert complaints == []


def test_the_checkout_knows_the_address_of_the_account(page, shop, product, complaints, username, address):
    register(page, shop, username, address)
    shop.add_to_cart(product)
    shop.open("/checkout")
    expect(page.get_by_label("Email")).to_have_value(address)
    assert complaints == []
