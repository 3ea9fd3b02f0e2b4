"""The storefront's products, its search and its filters, a product, and what it says without a connection."""

import re
import secrets
from collections.abc import Iterator

import pytest
from playwright.sync_api import Request, Route, expect

from tests.browser.back_office import add_product, open_back_office
from tests.browser.storefront import PHONE, Storefront, measure_layout_shift

pytestmark = pytest.mark.shop

# Kilobytes that the first view may take, with all that it shows.
FIRST_VIEW = 100


def test_the_first_view_shows_products_without_a_complaint(page, shop, complaints, take_screenshot):
    shop.open()
    expect(shop.cards).to_have_count(24)
    expect(page.locator("#count")).to_have_text(re.compile(r"^24 of \d+ products$"))
    take_screenshot("shop-products")
    assert complaints == []


def test_the_first_view_is_light_stays_in_place_and_announces_its_modules(make_page):
    page = make_page()
    transferred = {}

    def weigh(request):
        sizes = request.sizes()
        transferred[request.url] = sizes["responseHeadersSize"] + sizes["responseBodySize"]

    page.on("requestfinished", weigh)
    shop = Storefront(page)
    shop.open()
    expect(shop.cards).to_have_count(24)
    page.wait_for_load_state("networkidle")
    assert any("/images/" in url for url in transferred)
    assert sum(transferred.values()) < FIRST_VIEW * 1000, transferred
    assert measure_layout_shift(page) < 0.02
    announced = page.eval_on_selector_all(
        "link[rel=modulepreload]", "links => links.map((link) => link.href)"
    )
    announced = {url.partition("/assets/")[2] for url in announced}
    modules = {url.partition("/assets/")[2] for url in transferred if url.endswith(".js")}
    # A browser would learn of each of the others only from the one before.
    assert modules == announced | {"app.js", "reload.js"}


def test_an_unchanged_file_is_not_sent_again(page):
    for path in ("/", "/assets/app.js", "/assets/style.css"):
        first = page.request.get(path)
        assert first.headers["cache-control"] == "no-cache", path
        again = page.request.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert again.status == 304, path


def test_a_picture_that_is_not_the_shops_own_has_a_stand_in(page, shop, complaints, admin):
    word = f"pictureless{secrets.token_hex(4)}"
    addresses = ["http://", "//", "https://elsewhere.example/kettle.jpg"]
    for address in addresses:
        add_product(admin, title=f"{word} {secrets.token_hex(4)}", images=[address])
    shop.open(f"/?q={word}")
    expect(shop.cards).to_have_count(len(addresses))
    expect(shop.cards.locator(".picture-missing")).to_have_count(len(addresses))
    open_back_office(page, f"products?q={word}")
    rows = page.get_by_role("row", name=word)
    expect(rows).to_have_count(len(addresses))
    expect(rows.locator(".picture-missing")).to_have_count(len(addresses))
    assert complaints == []


def test_an_address_that_cannot_be_read_is_no_page(page, shop, complaints):
    shop.open("/products/50%")
    expect(shop.heading).to_have_text("There is no such page")
    page.get_by_role("link", name="Go to the shop").click()
    expect(shop.cards).to_have_count(24)
    assert complaints == []


def test_search_begins_with_the_first_letters_and_corrects_typos(page, shop, complaints, take_screenshot):
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


def test_a_newer_search_replaces_an_older_one(make_page):
    page = make_page()
    shop = Storefront(page)
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
    # The whole list is sorted as before.
    assert page.url.endswith("#/?sort=price")
    assert complaints == []


def test_a_search_without_results_says_so_and_leads_back(page, shop, take_screenshot):
    shop.open("/?q=zzzzqqqq")
    expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
    take_screenshot("shop-nothing-found")
    page.get_by_role("button", name="Show everything").click()
    expect(shop.cards).to_have_count(24)
    expect(shop.search).to_have_value("")


def test_the_way_back_leads_to_the_list_as_it_was(page, shop):
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
    expect(page.locator("#count")).to_have_text("24 of 36 products")
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


def test_a_product_that_is_sold_out_cannot_be_put_into_the_cart(page, shop):
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


def test_the_filters_of_a_phone_are_behind_a_button(page, shop, take_screenshot):
    page.set_viewport_size(PHONE)
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


def test_without_a_connection_the_page_says_so_and_comes_back(page, shop, take_screenshot):
    shop.open()
    page.context.set_offline(True)
    page.get_by_label("Sort by").select_option("price")
    expect(page.get_by_text("The shop cannot be reached just now.")).to_be_visible()
    take_screenshot("outage-connection")
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(shop.cards).to_have_count(24)


@pytest.fixture
def visits(page) -> Iterator[list[str]]:
    """The documents that the page asks for."""
    asked: list[str] = []

    def note(request: Request) -> None:
        if request.is_navigation_request():
            asked.append(request.url)

    page.on("request", note)
    yield asked
    page.remove_listener("request", note)


def test_a_page_whose_scripts_were_lost_on_the_way_loads_itself_again(page, shop, visits):
    def lose_the_first(route: Route) -> None:
        if len(visits) == 1:
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/assets/lib/dom.js", lose_the_first)
    page.goto("/")
    expect(shop.cards).to_have_count(24)
    assert len(visits) == 2


def test_a_page_whose_scripts_do_not_come_says_so_by_itself(page, visits, take_screenshot):
    page.route("**/assets/lib/dom.js", lambda route: route.abort("connectionreset"))
    page.goto("/")
    expect(page.get_by_role("heading", name="This takes longer than usual")).to_be_visible()
    assert len(visits) == 2
    take_screenshot("outage-scripts")
    page.unroute_all()
    page.get_by_role("link", name="Load it again").click()
    expect(page.locator(".product-card")).to_have_count(24)
