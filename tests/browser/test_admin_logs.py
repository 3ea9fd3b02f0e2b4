"""The log pages: search, histogram, records and the live tail."""

import re
import secrets

import pytest
from playwright.sync_api import Page, expect

from tests.browser.back_office import open_back_office, place_order, read_order, wait_for_content
from tests.stacks import Shopper
from tests.waiting import wait_for

pytestmark = pytest.mark.shop

# Milliseconds. A record arrives within seconds; a busy machine takes longer.
PATIENCE = 30_000


def send_records(
    admin: Shopper, service: str, messages: list[str], numbers: dict[str, int] | None = None
) -> None:
    """Send records with the numbers as attributes, as an API client with the scope `logs:write`."""
    made = admin.post("/auth/clients", json={"name": service, "scopes": ["logs:write"]}).json()
    credentials = (made["id"], made["client_secret"])
    with Shopper(admin.url) as program:
        answer = program.post("/auth/token", data={"grant_type": "client_credentials"}, auth=credentials)
        program.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
        attributes = [
            {"key": key, "value": {"intValue": str(number)}} for key, number in (numbers or {}).items()
        ]
        sent = [
            {"severityNumber": 9, "body": {"stringValue": message}, "attributes": attributes}
            for message in messages
        ]
        body = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": sent}]}]}
        assert program.post("/v1/logs", json=body).status_code == 200
    assert admin.delete(f"/auth/clients/{made['id']}").status_code == 204


def records(page: Page, text: str):
    return page.locator(".record").filter(has_text=text)


def follow(page: Page, query: str = "") -> None:
    open_back_office(page, f"logs/live{query}")
    expect(page.get_by_text("Following.")).to_be_visible(timeout=PATIENCE)


def test_the_live_tail_shows_an_order_as_it_happens_and_can_be_paused(
    page, complaints, take_screenshot, admin, guest, product
):
    order = place_order(guest, product, card="pm_card_authenticationRequired")
    follow(page, f"?order_id={order}&service=orders-service&q=order")
    payment = read_order(guest, order)["payment"]["id"]
    answer = guest.post(f"/payments/{payment}/confirm", headers={"Idempotency-Key": order}, json={})
    assert answer.status_code == 200, answer.text
    expect(records(page, "Order resumed: confirmed")).to_have_count(1, timeout=PATIENCE)
    take_screenshot("admin-logs-live")

    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused.")).to_be_visible()
    assert admin.post(f"/orders/{order}/ship").status_code == 200
    resume = page.get_by_role("button", name=re.compile(r"Resume \([0-9]+ new\)"))
    expect(resume).to_be_visible(timeout=PATIENCE)
    expect(records(page, "/ship 200")).to_have_count(0)
    take_screenshot("admin-logs-paused")
    resume.click()
    expect(records(page, "/ship 200")).to_have_count(1)
    # The newest record is at the top.
    expect(page.locator(".record-message").first).to_contain_text("/ship 200")
    expect(page.get_by_text("Following.")).to_be_visible()

    # Opening a record pauses the tail.
    record = records(page, "Order resumed: confirmed")
    record.locator("summary").click()
    expect(page.get_by_text("Paused.")).to_be_visible()
    expect(record.locator(".record-body")).to_contain_text("orders-service-1")
    assert complaints == []


def test_the_tail_keeps_a_bounded_number_of_rows(page, complaints, admin):
    service = f"collector-{secrets.token_hex(4)}"
    follow(page, f"?service={service}")
    for _ in range(7):
        send_records(admin, service, [f"Record {secrets.token_hex(8)}" for _ in range(100)])
    expect(page.get_by_text("700 received, newest 500 shown")).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".record")).to_have_count(500)
    assert complaints == []


def test_the_url_keeps_the_filters_and_the_histogram_narrows_the_period(
    page, complaints, take_screenshot, guest
):
    words = f"products/{secrets.randbelow(10**6)}"
    for _ in range(3):
        assert guest.get(f"/{words}9999").status_code == 404
    open_back_office(page, "logs")
    page.get_by_label("Service").select_option("gateway")
    page.get_by_label("Search", exact=True).fill(f"{words}9999")

    counted = page.locator(".histogram figcaption").filter(has_text="3 records")

    def is_found() -> bool:
        page.get_by_role("button", name="Apply", exact=True).click()
        expect(page.locator("[aria-busy=true]")).to_have_count(0)
        return page.locator(".record").count() == 3 and counted.count() == 1

    # logs-service reads the gateway's file about once a second, perhaps between the two responses.
    wait_for(is_found)
    expect(page).to_have_url(re.compile(r"service=gateway&?|q=products"))
    take_screenshot("admin-logs")
    page.reload()
    expect(page.get_by_label("Service")).to_have_value("gateway")
    expect(page.locator(".record")).to_have_count(3)

    # The table has the same numbers and links as the bars.
    page.get_by_text("Show as table").click()
    table = page.get_by_role("table", name="Log records over time")
    table.get_by_role("button").first.click()
    expect(page).to_have_url(re.compile("since=.*until="))
    expect(page.get_by_label("From")).not_to_have_value("")
    page.get_by_label("Level").select_option("ERROR")
    expect(page.get_by_text("No records match these filters")).to_be_visible()
    page.get_by_role("button", name="Clear filters").click()
    expect(page).to_have_url(re.compile("#/admin/logs$"))
    assert complaints == []


def test_the_request_id_of_an_error_leads_to_the_trace_of_the_request(page, complaints, guest):
    request_id = guest.get("/orders/no-such-order").json()["request_id"]
    open_back_office(page, "logs")
    page.get_by_label("Trace an order or a request by ID").fill(f" {request_id} ")
    page.get_by_role("button", name="Trace", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Trace of request")

    def is_logged() -> bool:
        page.reload()
        wait_for_content(page)
        return records(page, "GET /orders/no-such-order 404").count() == 1

    wait_for(is_logged)
    assert complaints == []


def test_a_number_that_may_be_an_id_is_shown_with_all_its_digits_and_without_separators(
    page, complaints, admin
):
    service = f"collector-{secrets.token_hex(4)}"
    numbers = {"product.id": 1234567, "invoice.id": 2**63 - 1}
    send_records(admin, service, ["Invoiced"], numbers)
    open_back_office(page, f"logs?service={service}")
    record = records(page, "Invoiced")
    record.locator("summary").press("Enter")
    for name, number in numbers.items():
        expect(record.get_by_role("row", name=f"{name} {number}", exact=True)).to_be_visible()
    assert complaints == []


def test_a_click_on_a_bar_narrows_the_period(page, complaints):
    open_back_office(page, "logs?service=gateway")
    page.locator(".bar").filter(has=page.locator(".bar-quiet")).last.click()
    expect(page).to_have_url(re.compile("service=gateway.*since=.*until="))
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    assert complaints == []


def test_a_record_expands_to_its_surrounding_records(page, complaints, take_screenshot, product, guest):
    order = place_order(guest, product)
    open_back_office(page, f"logs?order_id={order}&service=orders-service")

    def is_logged() -> bool:
        page.reload()
        wait_for_content(page)
        return records(page, "POST /orders 201").count() == 1

    wait_for(is_logged)
    record = records(page, "POST /orders 201")
    record.locator("summary").press("Enter")
    body = record.locator(".record-body").first
    expect(body.get_by_role("row", name="order.status")).to_contain_text("confirmed")
    body.get_by_role("button", name="Surrounding records of all services").click()
    expect(body.locator(".record-marked .record-message")).to_have_text("POST /orders 201")
    take_screenshot("admin-logs-record")

    # An id links to its trace, and a chip removes that filter.
    trace = body.locator(".facts").first.get_by_role("link", name=re.compile("^[0-9a-f]{32}$")).first
    trace.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Trace of request")
    page.get_by_role("link", name="Remove filter").click()
    expect(page.get_by_role("heading", name="Logs", level=1)).to_be_visible()
    expect(page.locator(".histogram").first).to_be_visible()
    assert complaints == []
