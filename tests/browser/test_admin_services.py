"""The overview and the services page of the back office."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.back_office import leave_out, open_back_office, place_order

pytestmark = pytest.mark.shop


def test_health_replicas_and_versions_of_all_services_are_shown(page, complaints, take_screenshot):
    open_back_office(page, "services")
    expect(page.get_by_text("6 of 6 healthy.")).to_be_visible()
    # The stack runs two replicas of this service.
    catalog = page.get_by_role("region", name="catalog-service")
    expect(catalog).to_contain_text("2: catalog-service-1, catalog-service-2")
    expect(catalog).to_contain_text(re.compile(r"Version.*\d+\.\d+\.\d+", re.DOTALL))
    gateway = page.get_by_role("region", name="gateway")
    expect(gateway).to_contain_text("Requests per minute")
    take_screenshot("admin-services")
    gateway.get_by_role("link", name="Logs", exact=True).click()
    expect(page).to_have_url(re.compile(r"logs\?service=gateway"))
    assert complaints == []


def test_a_failed_session_renewal_does_not_show_the_services_as_down(page, complaints):
    open_back_office(page)
    page.route("**/auth/refresh", lambda route: route.fulfill(status=503, json={"code": "unavailable"}))
    page.evaluate(
        """() => {
            const note = JSON.parse(localStorage.getItem("shopfleet.session"));
            localStorage.setItem("shopfleet.session", JSON.stringify({...note, expires_at: Date.now()}));
        }"""
    )
    page.goto("/#/admin/services")
    expect(page.get_by_text("6 of 6 healthy.")).to_be_visible()
    page.get_by_role("link", name="Overview").click()
    expect(page.get_by_role("region", name="Services").get_by_text("Healthy")).to_have_count(5)
    assert leave_out(complaints, 503) == []


def test_the_overview_shows_what_needs_attention_and_links_to_it(
    page, complaints, take_screenshot, product, guest
):
    place_order(guest, product)
    open_back_office(page)
    expect(page.get_by_role("region", name="Open orders")).to_contain_text("to ship")
    expect(page.get_by_role("region", name="Stock")).to_contain_text("sold out")
    expect(page.get_by_role("region", name="Errors in the last hour")).to_contain_text("warnings")
    expect(page.get_by_role("region", name="Services").get_by_text("Healthy")).to_have_count(5)
    take_screenshot("admin-overview")
    page.get_by_role("link", name="to ship").click()
    expect(page).to_have_url(re.compile("orders\\?status=paid"))
    expect(page.get_by_label("Status")).to_have_value("paid")
    assert complaints == []
