"""What clerks and editors find in the back office, and how an admin makes them."""

import re
import secrets
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, Request, expect

from tests.browser.back_office import (
    add_product,
    enter,
    leave_out,
    open_user,
    place_order,
    register,
    wait_for_content,
)
from tests.browser.storefront import PHONE
from tests.stacks import ProcessStack, Shopper

pytestmark = pytest.mark.shop

PASSWORD = "correct horse battery"
ID = "00000000-0000-7000-8000-000000000000"
# The pages that a role may not open.
CLOSED = {
    "clerk": [
        *("products", "products/1", "products/new", "products/import", "products/source", "categories"),
        *("pricing", "pricing/taxes", "pricing/coupons", "pricing/preview"),
        *("clients", "payments/ledger", "logs", "logs/live", "services"),
    ],
    "editor": [
        *("orders", f"orders/{ID}", "users", f"users/{ID}", "payments", f"payments/{ID}", "payments/ledger"),
        *("pricing", "pricing/taxes", "pricing/preview", "clients", "logs", "logs/live", "services"),
    ],
}
OPEN_PAGE = """(path) => new Promise((resolve) => {
    addEventListener("shopfleet:view", resolve, {once: true});
    location.hash = path;
}).then(() => {})"""


@pytest.fixture
def make_staff(processes: ProcessStack, admin: Shopper) -> Callable[[str], str]:
    """Register a user and make it a clerk or an editor; return the name."""

    def make(role: str) -> str:
        with Shopper(processes.url) as shopper:
            name = register(shopper)
            user_id = shopper.get("/auth/me").json()["id"]
        change = {"role": role, "current_password": "admin"}
        answer = admin.patch(f"/auth/users/{user_id}", json=change)
        assert answer.status_code == 200, answer.text
        return name

    return make


@pytest.fixture
def customer(processes: ProcessStack) -> Iterator[Shopper]:
    """A new customer; `name` is the username."""
    with Shopper(processes.url) as shopper:
        shopper.name = register(shopper)
        yield shopper


def open_as(page: Page, name: str, path: str = "") -> None:
    """Open a page of the back office as a user, and wait for its data."""
    enter(page, name, PASSWORD)
    page.goto("/#/admin" + (f"/{path}" if path else ""))
    wait_for_content(page)


def go_to(page: Page, path: str) -> None:
    """Open another page of the back office by its address, and wait for its data."""
    page.evaluate(OPEN_PAGE, f"/admin/{path}")
    wait_for_content(page)


def list_sections(page: Page) -> list[str]:
    return page.get_by_role("navigation", name="Back office").get_by_role("link").all_inner_texts()


def list_cards(page: Page) -> list[str]:
    return page.locator(".admin-page section").evaluate_all("(each) => each.map((one) => one.ariaLabel)")


def find_open_pages(page: Page, role: str) -> tuple[list[str], list[str]]:
    """Return the pages that open although the role may not open them, and the calls that all make."""
    opened: list[str] = []
    calls: list[str] = []

    def note(request: Request) -> None:
        if request.resource_type == "fetch":
            calls.append(request.url)

    page.on("request", note)
    for path in CLOSED[role]:
        go_to(page, path)
        heading = page.locator(".admin-page h1")
        if heading.inner_text() != "Not allowed" or page.title() != "Not allowed · Shopfleet":
            opened.append(path)
    page.remove_listener("request", note)
    return opened, calls


def test_a_clerk_ships_and_refunds_an_order_and_cannot_open_products(
    page, complaints, take_screenshot, make_staff, guest, product
):
    order_id = place_order(guest, product)
    open_as(page, make_staff("clerk"))
    assert list_sections(page) == ["Overview", "Orders", "Users", "Mails", "Payments"]
    assert list_cards(page) == ["Open orders", "Oldest orders to ship", "Stuck orders"]
    take_screenshot("admin-clerk-overview")
    # Of the mails of orders only; a call for those of accounts would be refused.
    go_to(page, "mails")
    expect(page.get_by_role("heading", name="Mails", exact=True)).to_be_visible()

    go_to(page, f"orders/{order_id}")
    take_screenshot("admin-clerk-order")
    page.get_by_role("button", name="Mark as shipped").click()
    page.get_by_role("dialog").get_by_role("button", name="Mark as shipped").click()
    expect(page.get_by_text("Order marked as shipped.")).to_be_visible()
    assert guest.get(f"/orders/{order_id}").json()["status"] == "shipped"
    page.get_by_role("button", name="Refund").click()
    page.get_by_role("dialog").get_by_role("button", name="Refund").click()
    expect(page.locator(".page-title .badge")).to_have_text("Refunded")
    # Neither the product nor the logs are for clerks.
    expect(page.get_by_role("link", name=re.compile("Trace"))).to_have_count(0)
    expect(page.locator("a[href*='/admin/products']")).to_have_count(0)
    page.locator("section[aria-label=Payment]").get_by_role("link").click()
    expect(page.get_by_role("heading", name=re.compile("Payment …"))).to_be_visible()
    wait_for_content(page)
    expect(page.get_by_text("Ledger entries")).to_have_count(0)
    expect(page.get_by_role("link", name="Trace the order")).to_have_count(0)
    go_to(page, "payments")
    expect(page.get_by_role("link", name="Ledger")).to_have_count(0)

    assert find_open_pages(page, "clerk") == ([], [])
    page.set_viewport_size(PHONE)
    take_screenshot("admin-clerk-not-allowed-phone")
    assert complaints == []


def test_a_clerk_reads_users_and_finds_no_button_to_change_them(
    page, complaints, take_screenshot, make_staff, customer
):
    open_as(page, make_staff("clerk"), f"users?q={customer.name}")
    page.get_by_role("table").get_by_role("link", name=customer.name, exact=True).click()
    expect(page.get_by_role("heading", name=customer.name, level=1)).to_be_visible()
    wait_for_content(page)
    take_screenshot("admin-clerk-user")
    main = page.locator(".admin-page")
    expect(main.get_by_role("link", name="View orders")).to_be_visible()
    assert main.get_by_role("button").count() == main.get_by_role("combobox").count() == 0
    assert list_cards(page) == ["Details"]
    assert complaints == []


def test_an_editor_edits_a_product_and_cannot_open_orders_or_users(
    page, complaints, take_screenshot, make_staff, admin
):
    made = add_product(admin)
    open_as(page, make_staff("editor"))
    assert list_sections(page) == ["Overview", "Products", "Categories", "Coupons"]
    assert list_cards(page) == ["Stock"]
    take_screenshot("admin-editor-overview")

    go_to(page, f"products/{made['id']}")
    title = f"Edited kettle {secrets.token_hex(4)}"
    page.get_by_label("Title", exact=True).first.fill(title)
    page.get_by_role("button", name="Save", exact=False).first.click()
    expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()
    assert admin.get(f"/products/{made['id']}").json()["title"] == title

    page.get_by_role("link", name="Coupons").click()
    expect(page.get_by_role("heading", name="Coupons", level=1)).to_be_visible()
    wait_for_content(page)
    expect(page.get_by_role("navigation", name="Pricing")).to_have_count(0)
    expect(page.get_by_role("button", name="Add coupon")).to_be_visible()
    take_screenshot("admin-editor-coupons")

    assert find_open_pages(page, "editor") == ([], [])
    assert complaints == []


@pytest.mark.parametrize("role", ["clerk", "editor"])
def test_staff_see_only_their_own_orders_in_the_shop(page, complaints, make_staff, guest, product, role):
    place_order(guest, product)
    enter(page, make_staff(role), PASSWORD)
    page.goto("/#/orders")
    expect(page.get_by_text("Your orders will appear here.")).to_be_visible()
    expect(page.get_by_role("link", name="Back office")).to_be_visible()
    assert complaints == []


def test_a_new_role_needs_the_password_of_the_admin(page, complaints, take_screenshot, admin, customer):
    open_user(page, customer.name)
    page.set_viewport_size(PHONE)
    select = page.get_by_label("Role")
    assert select.locator("option").all_inner_texts() == ["Customer", "Clerk", "Editor", "Admin"]
    select.select_option("clerk")
    expect(page.get_by_text("A clerk ships, cancels and refunds all orders")).to_be_visible()
    take_screenshot("admin-user-role-phone")
    page.get_by_role("button", name="Change role").click()
    dialog = page.get_by_role("dialog", name=f"Make {customer.name} a clerk?")
    expect(dialog.get_by_label("Your password")).to_be_focused()
    make = dialog.get_by_role("button", name="Make clerk")
    make.click()
    expect(dialog.get_by_label("Your password")).to_have_attribute("aria-invalid", "true")
    dialog.get_by_label("Your password").fill("not the password")
    make.click()
    expect(dialog.get_by_text("is not the account's password")).to_be_visible()
    take_screenshot("admin-user-password-phone")
    [user] = admin.get("/auth/users", params={"q": customer.name}).json()["data"]
    assert user["role"] == "customer"
    dialog.get_by_label("Your password").fill("admin")
    make.click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_text("Role changed to clerk.")).to_be_visible()
    [user] = admin.get("/auth/users", params={"q": customer.name, "role": "clerk"}).json()["data"]
    assert user["role"] == "clerk"
    # The page of the user shows the role, and the list filters by it.
    expect(select).to_have_value("clerk")
    go_to(page, f"users?role=clerk&q={customer.name}")
    expect(page.get_by_role("row", name=customer.name)).to_contain_text("clerk")
    assert leave_out(complaints, 422) == []
