"""What a person sees who opens the shop's address."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.slow


def test_the_front_page_shows_without_a_complaint(page, complaints, take_screenshot):
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    take_screenshot("front-page")
    assert complaints == []


def test_every_link_on_it_leads_somewhere(page):
    page.goto("/")
    links = {link.get_attribute("href") for link in page.get_by_role("link").all()}
    assert {"/docs/auth.json", "/healthz/catalog-service"} <= links
    for link in links:
        if link.startswith("/"):
            assert page.request.get(link).status == 200, link


def test_it_fits_a_phone_and_a_dark_room(page, take_screenshot):
    page.set_viewport_size({"width": 360, "height": 740})
    page.emulate_media(color_scheme="dark")
    page.goto("/")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    red, green, blue = (int(part) for part in background.strip("rgb()").split(",")[:3])
    assert red + green + blue < 200
    take_screenshot("front-page-phone-dark")
