"""The pages that show an admin the health of the services, and what needs attention."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.back_office import leave_out, open_back_office, place_order

pytestmark = pytest.mark.shop


def test_health_replicas_and_versions_of_all_services_are_shown(page, complaints, take_screenshot):
    open_back_office(page, "services")
    expect(page.get_by_text("6 of 6 answer.")).to_be_visible()
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


def test_a_session_that_cannot_be_renewed_does_not_make_the_services_look_down(page, complaints):
    open_back_office(page)
    page.route("**/auth/refresh", lambda route: route.fulfill(status=503, json={"code": "unavailable"}))
    page.evaluate(
        """() => {
            const note = JSON.parse(localStorage.getItem("shopfleet.session"));
            localStorage.setItem("shopfleet.session", JSON.stringify({...note, expires_at: Date.now()}));
        }"""
    )
    page.goto("/#/admin/services")
    expect(page.get_by_text("6 of 6 answer.")).to_be_visible()
    page.get_by_role("link", name="Overview").click()
    expect(page.get_by_role("region", name="Services").get_by_text("Healthy")).to_have_count(5)
    assert leave_out(complaints, 503) == []


def test_the_overview_says_what_needs_attention_and_leads_there(
    page, complaints, take_screenshot, product, guest
):
    place_order(guest, product)
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
