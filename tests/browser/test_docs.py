"""The API documentation page: all five documents, and calls from there."""

import pytest
from playwright.sync_api import Locator, Page, Request, expect

from tests.browser.storefront import PHONE, PHONE_IN_THE_DARK, find_brightness
from tests.stacks import Shopper

pytestmark = [pytest.mark.shop, pytest.mark.timeout(300)]

# Milliseconds. A busy machine takes long to render an operation with all of its examples.
RENDERED = 60_000
DOCUMENTS = ["auth", "catalog", "orders", "payments", "logs"]
ADMIN = {"username": "admin", "password": "admin"}


def open_operation(page: Page, document: str, tag: str, operation: str) -> Locator:
    """Open the page with a link to an operation."""
    page.goto(f"/docs?urls.primaryName={document}#/{tag}/{operation}")
    found = page.locator(f"#operations-{tag}-{operation}")
    expect(found.get_by_role("heading", name="Responses")).to_be_visible(timeout=RENDERED)
    expect(found.locator("tr.response").last).to_be_visible(timeout=RENDERED)
    return found


def try_out(operation: Locator) -> None:
    """Enable the fields of the operation."""
    operation.get_by_role("button", name="Try it out").click()


def execute(operation: Locator, status: int) -> Locator:
    """Make the call; return the body of the response once it has the status."""
    operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table tr.response").first
    expect(answer.locator(".response-col_status")).to_contain_text(str(status))
    return answer.locator(".highlight-code, .microlight").first


def unfold(page: Page, tag: str, operation: str) -> Locator:
    """Open another operation of the same document."""
    found = page.locator(f"#operations-{tag}-{operation}")
    found.locator(".opblock-summary-control").click()
    expect(found.get_by_role("heading", name="Responses")).to_be_visible(timeout=RENDERED)
    return found


def test_one_page_shows_all_five_documents_and_calls_no_other_host(
    page, running, complaints, take_screenshot
):
    asked = []

    def note(request: Request) -> None:
        asked.append(request.url)

    page.on("request", note)
    page.goto("/docs")
    choice = page.get_by_label("Select a definition")
    expect(choice.get_by_role("option")).to_have_text(DOCUMENTS)
    for name in DOCUMENTS:
        choice.select_option(label=name)
        expect(page.get_by_role("heading", name=f"Shopfleet {name}")).to_be_visible()
        expect(page.locator(".opblock").first).to_be_visible()
        take_screenshot(f"docs-{name}")
        if name == "payments":
            page.get_by_placeholder("Filter by tag").fill("Ledger")
            expect(page.locator("#operations-tag-Payments")).to_have_count(0)
            expect(page.locator("#operations-tag-Ledger")).to_be_visible()
            page.get_by_placeholder("Filter by tag").fill("")
    page.remove_listener("request", note)
    assert {f"{running.url}/docs/{name}.json" for name in DOCUMENTS} <= set(asked)
    assert [url for url in asked if not url.startswith((f"{running.url}/", "data:"))] == []
    assert complaints == []


def test_a_link_leads_to_an_operation_which_can_be_tried_out(page, complaints, take_screenshot):
    # Swagger UI reads the colour scheme on start.
    PHONE_IN_THE_DARK.put_on(page)
    assert page.request.post("/auth/guest").status == 201
    operation = open_operation(page, "orders", "Orders", "placeOrder")
    expect(operation.locator("div.parameter__name")).to_have_text("Idempotency-Key *")
    expect(operation.get_by_text("May be called by: admin, clerk, customer, editor, guest.")).to_be_visible()
    refused = operation.locator('tr.response[data-code="409"]')
    no_stock = ["There is not enough stock; see lines."]
    expect(refused.locator("option")).to_contain_text(no_stock, timeout=RENDERED)
    expect(refused).to_contain_text("out_of_stock")

    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert find_brightness(page, "document.documentElement") < 200
    assert find_brightness(page, "document.querySelector('.shop')", "color") > 500
    take_screenshot("docs-phone-dark")

    # The example order can be placed.
    try_out(operation)
    expect(execute(operation, 201)).to_contain_text("confirmed")
    # The gateway does not route internal operations.
    internal = unfold(page, "Internal", "wakeOrder")
    expect(internal.get_by_role("button", name="Try it out")).to_have_count(0)
    # A link to another operation of the same document works.
    other = open_operation(page, "orders", "Orders", "cancelOrder")
    expect(other.get_by_text("Cancel an order that has not shipped")).to_be_visible()
    assert complaints == []


def test_products_are_listed_with_the_admin_s_session(page, complaints, take_screenshot):
    assert page.request.post("/auth", data=ADMIN).status == 200
    operation = open_operation(page, "catalog", "Products", "listProducts")
    try_out(operation)
    expect(execute(operation, 200)).to_contain_text("KIT-0001")
    take_screenshot("docs-try-it-out")
    assert complaints == []


def test_calls_use_the_session_that_began_here_unless_a_token_is_pasted(page, running, complaints):
    operation = open_operation(page, "auth", "Login", "startGuestSession")
    try_out(operation)
    expect(execute(operation, 201)).to_contain_text("Authentication successful")
    operation = unfold(page, "Account", "showMe")
    page.get_by_role("button", name="Authorize", exact=True).click()
    dialog = page.locator(".dialog-ux")
    expect(dialog.get_by_role("heading", name="cookie")).to_have_count(0)
    form = dialog.locator(".auth-container", has_text="bearer")
    with Shopper(running.url) as admin:
        form.get_by_role("textbox").fill(admin.log_in())
    form.get_by_role("button", name="Apply credentials").click()
    form.get_by_role("button", name="Close").click()
    try_out(operation)
    expect(execute(operation, 200)).to_contain_text('"username": "admin"')

    # A reload drops the pasted token and keeps the session.
    operation = open_operation(page, "orders", "Cart", "putItem")
    try_out(operation)
    operation.get_by_placeholder("variant_id").fill("1")
    expect(execute(operation, 200)).to_contain_text("Walnut Chopping Board")
    assert page.request.get("/auth/me").json()["role"] == "guest"
    assert page.request.get("/cart").json()["items"][0]["product_id"] == 1
    assert complaints == []
