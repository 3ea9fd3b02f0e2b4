"""Sales: planned in the back office, and shown in the shop with the price before."""

import secrets

import pytest
from playwright.sync_api import expect

from tests.browser.back_office import add_product, confirm, open_back_office
from tests.browser.storefront import LOOKS, PHONE_IN_THE_DARK
from tests.variants import add_shirt

pytestmark = pytest.mark.shop


@pytest.fixture
def in_berlin(page):
    """The page, in a time zone that is two hours ahead of UTC in summer."""
    developer_tools = page.context.new_cdp_session(page)
    developer_tools.send("Emulation.setTimezoneOverride", {"timezoneId": "Europe/Berlin"})
    yield page
    developer_tools.send("Emulation.setTimezoneOverride", {"timezoneId": ""})
    developer_tools.detach()


def test_a_sale_is_planned_shown_in_the_shop_and_ended(in_berlin, shop, complaints, take_screenshot, admin):
    page = in_berlin
    product = add_product(admin)
    path = f"/products/{product['id']}/variants/{product['id']}/sale"
    open_back_office(page, f"products/{product['id']}")
    panel = page.get_by_role("region", name="Sale")
    panel.get_by_label("Sale price (USD)").fill("30")
    panel.get_by_label("Start").fill("2999-06-01T00:00:00")
    panel.get_by_label("End").fill("2999-07-01T12:30:15")
    panel.get_by_role("button", name="Plan sale").click()
    expect(panel).to_contain_text("Planned")
    sale = admin.get(path).json()
    assert (sale["starts"], sale["ends"]) == ("2999-05-31T22:00:00Z", "2999-07-01T10:30:15Z")

    panel.get_by_label("Start").fill("")
    panel.get_by_role("button", name="Change sale").click()
    expect(panel).to_contain_text("Running")
    expect(panel).to_contain_text("Price without it$40.00")
    expect(panel.get_by_label("End")).to_have_value("2999-07-01T12:30:15")
    take_screenshot("admin-sale")

    shop.open(f"/products/{product['id']}")
    article = page.get_by_role("article")
    expect(article).to_contain_text("$30.00")
    expect(article.locator("s")).to_have_text("$40.00")
    expect(article).to_contain_text("Lowest price in the last 30 days: $40.00")
    take_screenshot("shop-sale")
    shop.open(f"/?q={product['title'].replace(' ', '+')}")
    card = page.locator(".product-card", has_text=product["title"])
    expect(card.locator("s")).to_have_text("$40.00")
    expect(card).to_contain_text("Lowest price in the last 30 days: $40.00")
    take_screenshot("shop-sale-list")

    open_back_office(page, f"products/{product['id']}")
    panel.get_by_role("button", name="End sale").click()
    confirm(page, "End sale")
    expect(panel.get_by_role("button", name="Plan sale")).to_be_visible()
    expect(page.get_by_label("Price in USD", exact=True)).to_have_value("40.00")
    assert admin.get(path).status_code == 204
    assert complaints == []


def test_a_sale_that_ends_before_it_starts_is_explained_at_the_field(page, admin):
    product = add_product(admin)
    open_back_office(page, f"products/{product['id']}")
    panel = page.get_by_role("region", name="Sale")
    panel.get_by_label("Sale price (USD)").fill("30")
    panel.get_by_label("End").fill("2020-07-01T12:30:00")
    panel.get_by_role("button", name="Plan sale").click()
    expect(panel.locator(".field-error", has_text="It must be in the future")).to_be_visible()
    panel.get_by_label("End").fill("")
    panel.get_by_label("Sale price (USD)").fill("40")
    panel.get_by_role("button", name="Plan sale").click()
    expect(panel.locator(".field-error", has_text="It must be lower than the price")).to_be_visible()


def test_the_list_of_products_shows_running_and_planned_sales(in_berlin, complaints, take_screenshot, admin):
    page, word = in_berlin, f"Saleable{secrets.token_hex(3)}"
    running, planned, _plain = (add_product(admin, title=f"{word} {name}") for name in ("mug", "jug", "cup"))
    shirt = add_shirt(
        admin, {"S / Blue": 5, "M / Blue": 3}, title=f"{word} shirt", amounts={"M / Blue": 2900}
    )
    until, start = "2999-07-01T10:30:00Z", "2999-05-31T22:00:00Z"
    small, medium = shirt.id_of("S / Blue"), shirt.id_of("M / Blue")
    sales = [
        (running["id"], running["id"], {"unit_amount": 3000, "ends": until}),
        (planned["id"], planned["id"], {"unit_amount": 2500, "starts": start, "ends": until}),
        (shirt.id, small, {"unit_amount": 2000}),
        (shirt.id, medium, {"unit_amount": 2200}),
    ]
    for product, variant, body in sales:
        assert admin.put(f"/products/{product}/variants/{variant}/sale", json=body).status_code == 200
    open_back_office(page, f"products?q={word}")
    row = {
        name: page.get_by_role("row").filter(has_text=f"{word} {name}")
        for name in ("mug", "jug", "cup", "shirt")
    }
    price = {name: each.locator(".price-cell") for name, each in row.items()}
    expect(price["mug"].locator("strong")).to_have_text("$30.00")
    expect(price["mug"].locator("s")).to_have_text("$40.00")
    expect(price["mug"].locator("small")).to_have_text("Sale until Jul 1, 2999, 12:30\u202fPM")
    expect(price["jug"].locator("strong")).to_have_text("$40.00")
    expect(price["jug"].locator("small")).to_have_text(
        "Planned sale $25.00 from Jun 1, 2999, 12:00\u202fAM until Jul 1, 2999, 12:30\u202fPM"
    )
    expect(price["cup"]).to_have_text("$40.00")
    expect(price["shirt"].locator("small")).to_have_text("Sale of 2 variants without an end")
    take_screenshot("admin-products-sales")
    faults = [fault for look in LOOKS for fault in look.find_faults(page)]
    assert faults == []
    PHONE_IN_THE_DARK.put_on(page)
    take_screenshot("admin-products-sales-phone")
    assert complaints == []

    # Without the sales, the list still has the products.
    page.route("**/products/sales?*", lambda route: route.abort())
    page.reload()
    expect(price["mug"].locator("strong")).to_have_text("$30.00")
    expect(row["mug"].locator("small", has_text="Sale")).to_have_count(0)
