"""Whether everything works, as an admin sees it; and what can still be done while a part of it does not."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.back_office import add_product, leave_out, open_back_office, place_order
from tests.browser.storefront import paused
from tests.stacks import ProcessStack, Shopper

pytestmark = pytest.mark.shop

# The gateway waits 15 s for a service that has stopped where it is.
PATIENCE = 60_000


@pytest.fixture
def guest(processes: ProcessStack) -> Iterator[Shopper]:
    """Somebody who buys."""
    with Shopper(processes.url) as shopper:
        assert shopper.post("/auth/guest").status_code == 201
        yield shopper


def test_health_replicas_and_versions_of_all_services_are_shown(page, complaints, take_screenshot):
    open_back_office(page, "services")
    expect(page.get_by_text("6 of 6 answer.")).to_be_visible(timeout=PATIENCE)
    # The stack runs two of these.
    catalog = page.get_by_role("region", name="catalog-service")
    expect(catalog).to_contain_text("2: catalog-service-1, catalog-service-2")
    expect(catalog).to_contain_text(re.compile(r"Version.*\d+\.\d+\.\d+", re.DOTALL))
    gateway = page.get_by_role("region", name="gateway")
    expect(gateway).to_contain_text("Requests a minute")
    take_screenshot("admin-services")
    gateway.get_by_role("link", name="Its logs").click()
    expect(page).to_have_url(re.compile(r"logs\?service=gateway"))
    assert complaints == []


def test_while_nobody_can_be_signed_in_the_services_are_not_said_to_be_down(page, complaints):
    open_back_office(page)
    page.route("**/auth/refresh", lambda route: route.fulfill(status=503, json={"code": "unavailable"}))
    page.evaluate(
        """() => {
            const note = JSON.parse(localStorage.getItem("shopfleet.session"));
            localStorage.setItem("shopfleet.session", JSON.stringify({...note, expires_at: Date.now()}));
        }"""
    )
    page.goto("/#/admin/services")
    expect(page.get_by_text("6 of 6 answer.")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("link", name="Overview").click()
    expect(page.get_by_role("region", name="Services").get_by_text("Healthy")).to_have_count(5)
    assert leave_out(complaints, 503) == []


def test_the_overview_says_what_needs_attention_and_leads_there(
    page, complaints, take_screenshot, admin, guest
):
    product = add_product(admin, on_hand=4)
    place_order(guest, product["id"])
    open_back_office(page)
    expect(page.get_by_role("region", name="Open orders")).to_contain_text("to be sent")
    expect(page.get_by_role("region", name="Stock")).to_contain_text("sold out")
    expect(page.get_by_role("region", name="Errors of the last hour")).to_contain_text("warnings")
    expect(page.get_by_role("region", name="Services").get_by_text("Healthy")).to_have_count(5)
    take_screenshot("admin-overview")
    page.get_by_role("link", name="to be sent").click()
    expect(page).to_have_url(re.compile("orders\\?status=paid"))
    expect(page.get_by_label("Status")).to_have_value("paid")
    assert complaints == []


def test_with_payments_stopped_an_order_is_still_read(
    page, complaints, take_screenshot, processes, admin, guest
):
    order = place_order(guest, add_product(admin)["id"])
    with paused(processes, "payments-service"):
        open_back_office(page, f"orders/{order}")
        expect(page.get_by_role("region", name="Timeline")).to_contain_text("The money was taken")
        expect(page.get_by_role("button", name="Mark as shipped")).to_be_visible()
        payment = page.get_by_role("region", name="Payment")
        expect(payment.get_by_role("alert")).to_contain_text("does not answer just now", timeout=PATIENCE)
        take_screenshot("admin-payments-stopped")
    payment.get_by_role("button", name="Try again").click()
    expect(payment).to_contain_text("Captured")
    assert leave_out(complaints, 502, 503, 504) == []


def test_with_logs_stopped_the_others_are_still_looked_after(page, complaints, take_screenshot, processes):
    with paused(processes, "logs-service"):
        open_back_office(page)
        expect(page.get_by_role("region", name="Stock")).to_contain_text("sold out")
        expect(page.get_by_role("region", name="Open orders")).to_contain_text("to be sent")
        errors = page.get_by_role("region", name="Errors of the last hour")
        expect(errors.get_by_role("alert")).to_be_visible(timeout=PATIENCE)
        services = page.get_by_role("region", name="Services")
        expect(services.get_by_text("Does not answer")).to_have_count(1, timeout=PATIENCE)
        expect(services.get_by_text("Healthy")).to_have_count(4)
        take_screenshot("admin-logs-stopped")
    errors.get_by_role("button", name="Try again").click()
    expect(errors).to_contain_text("warnings")
    assert leave_out(complaints, 502, 503, 504) == []
