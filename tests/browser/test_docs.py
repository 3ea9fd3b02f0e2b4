"""The page of the API: all five documents in one place, and calls made from there."""

import pytest
from playwright.sync_api import Locator, Page, expect

pytestmark = [pytest.mark.shop, pytest.mark.timeout(300)]

# Milliseconds in which a busy machine has drawn an operation with all its examples.
DRAWN = 60_000
DOCUMENTS = ["auth", "catalog", "orders", "payments", "logs"]
ADMIN = {"username": "admin", "password": "admin"}


def open_operation(page: Page, document: str, tag: str, operation: str) -> Locator:
    """Open the page at one operation, as a link from elsewhere does."""
    page.goto(f"/docs?urls.primaryName={document}#/{tag}/{operation}")
    found = page.locator(f"#operations-{tag}-{operation}")
    expect(found.get_by_role("heading", name="Responses")).to_be_visible(timeout=DRAWN)
    expect(found.locator("tr.response").last).to_be_visible(timeout=DRAWN)
    return found


def try_out(operation: Locator) -> None:
    """Make the operation's fields ready to be filled in."""
    operation.get_by_role("button", name="Try it out").click()


def execute(operation: Locator, status: int) -> Locator:
    """Make the call; return the answer's body once the answer is there with that status."""
    operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table tr.response").first
    expect(answer.locator(".response-col_status")).to_contain_text(str(status))
    return answer.locator(".highlight-code, .microlight").first


def enter_as_guest(page: Page) -> None:
    """Begin a session in the page's browser."""
    assert page.request.post("/auth/guest").status == 201


def test_one_page_shows_all_five_documents_and_asks_nobody_else(page, processes, complaints, take_screenshot):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/docs")
    choice = page.get_by_label("Select a definition")
    expect(choice.get_by_role("option")).to_have_text(DOCUMENTS)
    for name in DOCUMENTS:
        choice.select_option(label=name)
        expect(page.get_by_role("heading", name=f"Shopfleet {name}")).to_be_visible()
        expect(page.locator(".opblock").first).to_be_visible()
        take_screenshot(f"docs-{name}")
    assert {f"{processes.url}/docs/{name}.json" for name in DOCUMENTS} <= set(asked)
    assert [url for url in asked if not url.startswith((f"{processes.url}/", "data:"))] == []
    assert complaints == []


def test_a_link_leads_to_an_operation_and_shows_its_errors_and_its_key(page, complaints, take_screenshot):
    operation = open_operation(page, "orders", "Orders", "placeOrder")
    expect(operation.locator("div.parameter__name")).to_have_text("Idempotency-Key *")
    expect(operation.get_by_text("May be called by: admin, customer, guest.")).to_be_visible()
    refused = operation.locator('tr.response[data-code="409"]')
    no_stock = ["There is not enough stock; see lines."]
    expect(refused.locator("option")).to_contain_text(no_stock, timeout=DRAWN)
    expect(refused).to_contain_text("out_of_stock")
    take_screenshot("docs-place-order")
    other = open_operation(page, "orders", "Orders", "cancelOrder")
    expect(other.get_by_text("Cancel an order that was not shipped")).to_be_visible()
    assert complaints == []


def test_the_filter_leaves_what_is_looked_for(page):
    page.goto("/docs?urls.primaryName=payments")
    expect(page.locator("#operations-tag-Payments")).to_be_visible()
    page.get_by_placeholder("Filter by tag").fill("Ledger")
    expect(page.locator("#operations-tag-Payments")).to_have_count(0)
    expect(page.locator("#operations-tag-Ledger")).to_be_visible()


def test_products_are_listed_with_the_admin_s_session(page, complaints, take_screenshot):
    assert page.request.post("/auth", data=ADMIN).status == 200
    operation = open_operation(page, "catalog", "Products", "listProducts")
    try_out(operation)
    expect(execute(operation, 200)).to_contain_text("KIT-0001")
    take_screenshot("docs-try-it-out")
    assert complaints == []


def test_a_session_begins_here_and_carries_what_changes_something(page, complaints):
    operation = open_operation(page, "auth", "Login", "enterAsGuest")
    try_out(operation)
    expect(execute(operation, 201)).to_contain_text("Authentication successful")
    operation = open_operation(page, "orders", "Cart", "putItem")
    try_out(operation)
    operation.get_by_placeholder("product_id").fill("1")
    expect(execute(operation, 200)).to_contain_text("Walnut Chopping Board")
    assert complaints == []


def test_an_order_is_placed_as_the_example_shows_it(page, complaints):
    enter_as_guest(page)
    operation = open_operation(page, "orders", "Orders", "placeOrder")
    try_out(operation)
    expect(execute(operation, 201)).to_contain_text("confirmed")
    assert complaints == []


def test_a_pasted_token_goes_before_the_session(page, complaints):
    enter_as_guest(page)
    token = page.request.post("/auth", data=ADMIN, headers={"Authorization": "Bearer none"}).json()
    enter_as_guest(page)
    operation = open_operation(page, "auth", "Account", "showMe")
    page.get_by_role("button", name="Authorize", exact=True).click()
    dialog = page.locator(".dialog-ux")
    expect(dialog.get_by_role("heading", name="cookie")).to_have_count(0)
    form = dialog.locator(".auth-container", has_text="bearer")
    form.get_by_role("textbox").fill(token["access_token"])
    form.get_by_role("button", name="Apply credentials").click()
    form.get_by_role("button", name="Close").click()
    try_out(operation)
    expect(execute(operation, 200)).to_contain_text('"username": "admin"')
    assert complaints == []


def test_what_the_gateway_does_not_lead_to_cannot_be_tried_out(page):
    operation = open_operation(page, "orders", "Internal", "wakeOrder")
    expect(operation.get_by_role("button", name="Try it out")).to_have_count(0)


def test_it_fits_a_phone_and_a_dark_room(page, complaints, take_screenshot):
    page.set_viewport_size({"width": 360, "height": 740})
    page.emulate_media(color_scheme="dark")
    open_operation(page, "orders", "Orders", "placeOrder")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    background = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert sum(int(part) for part in background.strip("rgb()").split(",")[:3]) < 200
    ink = page.evaluate("getComputedStyle(document.querySelector('.shop')).color")
    assert sum(int(part) for part in ink.strip("rgb()").split(",")[:3]) > 500
    take_screenshot("docs-phone-dark")
    assert complaints == []
