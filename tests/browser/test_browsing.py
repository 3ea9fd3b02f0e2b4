"""Looking around: the products, the search, the filters, a product."""

import re

import pytest
from playwright.sync_api import Route, expect

from tests.browser.back_office import add_product, open_back_office
from tests.browser.storefront import measure_layout_shift

pytestmark = pytest.mark.shop

# Kilobytes that the first view may take, with all that it shows.
FIRST_VIEW = 100


def test_the_first_view_shows_products_without_a_complaint(shop, complaints, take_screenshot):
    shop.open()
    expect(shop.cards).to_have_count(24)
    categories = shop.page.request.get("/categories").json()["data"]
    total = sum(category["count"] for category in categories)
    expect(shop.page.locator("#count")).to_have_text(f"24 of {total} products")
    take_screenshot("shop-products")
    assert complaints == []


def test_the_first_view_is_light_and_nothing_in_it_moves(page, shop):
    transferred = {}

    def weigh(request):
        sizes = request.sizes()
        transferred[request.url] = sizes["responseHeadersSize"] + sizes["responseBodySize"]

    page.on("requestfinished", weigh)
    shop.open()
    expect(shop.cards).to_have_count(24)
    page.wait_for_load_state("networkidle")
    assert any("/images/" in url for url in transferred)
    assert sum(transferred.values()) < FIRST_VIEW * 1000, transferred
    assert measure_layout_shift(page) < 0.02


def test_modules_of_the_first_view_are_announced_in_its_page(page, shop):
    wanted = set()
    page.on("request", lambda request: wanted.add(request.url.partition("/assets/")[2]))
    shop.open()
    expect(shop.cards).to_have_count(24)
    announced = page.eval_on_selector_all(
        "link[rel=modulepreload]", "links => links.map((link) => link.href)"
    )
    announced = {url.partition("/assets/")[2] for url in announced}
    modules = {path for path in wanted if path.endswith(".js")}
    # Else a browser learns of each only from the one before.
    assert modules == announced | {"app.js"}


@pytest.mark.parametrize("path", ["/", "/assets/app.js", "/assets/style.css"])
def test_a_file_is_asked_for_anew_and_sent_only_if_it_is_another(page, path):
    first = page.request.get(path)
    assert first.headers["cache-control"] == "no-cache"
    again = page.request.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert again.status == 304


@pytest.mark.parametrize("address", ["http://", "//", "https://elsewhere.example/kettle.jpg"])
def test_a_picture_that_is_not_the_shops_own_has_a_stand_in(page, shop, complaints, admin, address):
    product = add_product(admin, images=[address])
    shop.open(f"/?q={product['title']}")
    expect(shop.cards.filter(has_text=product["title"]).locator(".picture-missing")).to_be_visible()
    open_back_office(page, f"products?q={product['title']}")
    row = page.get_by_role("row", name=product["title"])
    expect(row.locator(".picture-missing")).to_be_visible()
    assert complaints == []


def test_an_address_that_cannot_be_read_is_no_page(page, shop, complaints):
    shop.open("/products/50%")
    expect(shop.heading).to_have_text("There is no such page")
    page.get_by_role("link", name="Go to the shop").click()
    expect(shop.cards).to_have_count(24)
    assert complaints == []


def test_searching_begins_while_somebody_types_and_forgives_a_slip(page, shop, complaints, take_screenshot):
    shop.open()
    shop.search.press_sequentially("chooping", delay=20)
    expect(shop.heading).to_have_text("Results for “chooping”")
    expect(page.get_by_text("What fits chopping is shown, too.")).to_be_visible()
    expect(shop.cards).to_have_count(1)
    expect(page.locator("#announcer")).to_have_text("1 product")
    assert "q=chooping" in page.url
    take_screenshot("shop-search")
    page.get_by_role("button", name="chopping", exact=True).click()
    expect(shop.heading).to_have_text("Results for “chopping”")
    expect(shop.search).to_have_value("chopping")
    assert complaints == []


def test_an_older_search_is_given_up_for_a_newer_one(page, shop):
    shop.open()
    held, abandoned = [], []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/products?*q=lamp&*", hold)
    page.on("requestfailed", lambda request: abandoned.append(request.url))
    shop.search.fill("lamp")
    page.wait_for_function("() => location.hash.includes('q=lamp')")
    shop.search.fill("walnut")
    expect(shop.heading).to_have_text("Results for “walnut”")
    expect(shop.cards.first).to_contain_text("Walnut")
    assert len(held) == 1
    assert [url for url in abandoned if "q=lamp" in url]


def test_a_search_from_another_page_leads_to_the_products(shop):
    shop.open("/products/1")
    shop.search.fill("kettle")
    shop.search.press("Enter")
    expect(shop.heading).to_have_text("Results for “kettle”")
    expect(shop.search).to_have_value("kettle")


def test_filters_and_the_order_stand_in_the_address(page, shop, complaints, take_screenshot):
    shop.open()
    page.get_by_role("checkbox", name="Lighting").check()
    expect(shop.heading).to_have_text("Lighting")
    expect(shop.cards).to_have_count(12)
    page.get_by_role("checkbox", name="Garden").check()
    expect(shop.cards).to_have_count(24)
    page.get_by_label("Sort by").select_option("price")
    page.get_by_label("Lowest price").fill("40")
    page.get_by_label("Lowest price").press("Enter")
    expect(page.get_by_role("button", name="Remove the filter From 40")).to_be_visible()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    prices = [float(text.strip("$")) for text in page.locator(".product-card strong").all_text_contents()]
    assert prices == sorted(prices)
    assert prices[0] >= 40
    take_screenshot("shop-filters")

    page.reload()
    expect(page.get_by_role("checkbox", name="Lighting")).to_be_checked()
    expect(shop.cards).to_have_count(len(prices))
    page.get_by_role("button", name="Clear all").click()
    expect(shop.cards).to_have_count(24)
    # What was found is sorted as before.
    assert page.url.endswith("#/?sort=price")
    assert complaints == []


def test_what_fits_nothing_says_so_and_leads_back(page, shop, take_screenshot):
    shop.open("/?q=zzzzqqqq")
    expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
    take_screenshot("shop-nothing-found")
    page.get_by_role("button", name="Show everything").click()
    expect(shop.cards).to_have_count(24)
    expect(shop.search).to_have_value("")


def test_whoever_comes_back_finds_the_list_as_it_was_left(page, shop):
    shop.open()
    page.get_by_role("button", name="Show more").click()
    expect(shop.cards).to_have_count(48)
    # The first of the new ones has the focus.
    expect(shop.cards.nth(24).get_by_role("link")).to_be_focused()
    link = shop.cards.nth(40).get_by_role("link")
    link.scroll_into_view_if_needed()
    before = page.evaluate("scrollY")
    name = link.text_content()
    link.click()
    expect(shop.heading).to_have_text(name)
    assert page.evaluate("scrollY") == 0
    page.go_back()
    expect(shop.cards).to_have_count(48)
    page.wait_for_function("(before) => Math.abs(scrollY - before) < 5", arg=before)


def test_the_list_ends_where_the_shop_ends(page, shop):
    shop.open("/?category=kitchen&category=desk&category=audio")
    more = page.get_by_role("button", name="Show more")
    more.click()
    expect(shop.cards).to_have_count(36)
    expect(more).to_be_hidden()
    expect(page.locator("#count")).to_have_text("36 products")


def test_a_product_has_a_page_with_others_of_its_kind(page, shop, complaints, take_screenshot):
    shop.open("/products/4")
    expect(shop.heading).to_have_text("Conical Burr Hand Coffee Grinder")
    expect(page).to_have_title("Conical Burr Hand Coffee Grinder · Shopfleet")
    expect(page.get_by_text("$79.00")).to_be_visible()
    expect(page.get_by_role("heading", name="More from Kitchen")).to_be_visible()
    expect(shop.cards).to_have_count(4)
    take_screenshot("shop-product")
    page.get_by_role("navigation", name="Where this is").get_by_role("link", name="Kitchen").click()
    expect(shop.heading).to_have_text("Kitchen")
    assert complaints == []


def test_what_is_sold_out_cannot_be_put_into_the_cart(page, shop):
    shop.open("/products/12")
    expect(page.get_by_text("Sold out", exact=True).first).to_be_visible()
    expect(page.get_by_role("button", name="Put into the cart", exact=True)).to_have_count(0)
    shop.open("/?category=kitchen")
    card = shop.cards.filter(has_text="Olive Wood Salad Servers")
    expect(card).to_contain_text("Sold out")
    expect(card.get_by_role("button")).to_have_count(0)


def test_a_product_that_is_gone_and_a_page_that_never_was(page, shop, take_screenshot):
    shop.open("/products/999999")
    expect(page.get_by_text("This product is not for sale any more")).to_be_visible()
    shop.open("/no/such/page")
    expect(shop.heading).to_have_text("There is no such page")
    take_screenshot("shop-no-such-page")
    page.get_by_role("link", name="Go to the shop").click()
    expect(shop.cards).to_have_count(24)


def test_every_link_of_the_page_leads_somewhere(page, shop):
    shop.open("/developers")
    expect(page.locator("td .badge", has_text="up")).to_have_count(5)
    links = {link.get_attribute("href") for link in page.get_by_role("link").all()}
    assert {"/docs", "/docs/auth.json", "/healthz/catalog-service"} <= links
    for link in links:
        if link.startswith("/"):
            assert page.request.get(link).status == 200, link


@pytest.mark.parametrize("path", ["/", "/products/4", "/checkout", "/orders", "/login", "/developers"])
def test_it_fits_a_phone_in_a_dark_room(page, shop, complaints, take_screenshot, path):
    page.set_viewport_size({"width": 360, "height": 740})
    page.emulate_media(color_scheme="dark")
    if path == "/checkout":
        shop.put_into_cart(4)
    shop.open(path)
    expect(page.locator(".skeleton")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert sum(int(part) for part in re.findall(r"\d+", background)[:3]) < 200
    take_screenshot(f"phone-dark{path.replace('/', '-')}")
    assert complaints == []


def test_the_filters_of_a_phone_are_behind_a_button(page, shop, take_screenshot):
    page.set_viewport_size({"width": 360, "height": 740})
    shop.open()
    kitchen = page.get_by_role("checkbox", name="Kitchen")
    expect(kitchen).to_be_hidden()
    button = page.get_by_role("button", name="Filters")
    button.click()
    expect(button).to_have_attribute("aria-expanded", "true")
    kitchen.check()
    expect(shop.cards).to_have_count(12)
    expect(page.get_by_role("button", name="Filters (1)")).to_be_visible()
    take_screenshot("phone-filters")
