"""The product list with search and filters, product pages, and the shop without a connection."""

import re
import secrets
from collections.abc import Iterator

import pytest
from playwright.sync_api import Request, Route, expect

from tests.browser.back_office import add_product, open_back_office
from tests.browser.storefront import PHONE, Storefront, measure_layout_shift

pytestmark = pytest.mark.shop

# The limit for the first view with all of its resources, in kilobytes.
FIRST_VIEW = 100


def test_the_first_view_shows_products_without_a_complaint(page, shop, complaints, take_screenshot):
    shop.open()
    expect(shop.cards).to_have_count(24)
    expect(page.locator("#count")).to_have_text(re.compile(r"^24 of \d+ products$"))
    take_screenshot("shop-products")
    assert complaints == []


def test_the_first_view_is_small_does_not_shift_and_preloads_its_modules(make_page):
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
    preloaded = page.eval_on_selector_all(
        "link[rel=modulepreload]", "links => links.map((link) => link.href)"
    )
    preloaded = {url.partition("/assets/")[2] for url in preloaded}
    modules = {url.partition("/assets/")[2] for url in transferred if url.endswith(".js")}
    # The browser would discover any other module only after loading its importer.
    assert modules == preloaded | {"app.js", "reload.js"}


def test_an_unchanged_file_is_not_sent_again(page):
    for path in ("/", "/assets/app.js", "/assets/style.css"):
        first = page.request.get(path)
        assert first.headers["cache-control"] == "no-cache", path
        again = page.request.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert again.status == 304, path


def test_a_picture_of_another_host_has_a_placeholder(page, shop, complaints, admin):
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


def test_an_invalid_path_shows_page_not_found(page, shop, complaints):
    shop.open("/products/50%")
    expect(shop.heading).to_have_text("Page not found")
    page.get_by_role("link", name="Continue shopping").click()
    expect(shop.cards).to_have_count(24)
    assert complaints == []


def test_search_begins_with_the_first_letters_and_corrects_typos(page, shop, complaints, take_screenshot):
    shop.open()
    shop.search.press_sequentially("chooping", delay=20)
    expect(shop.heading).to_have_text("Results for “chooping”")
    expect(page.get_by_text("Also showing results for chopping.")).to_be_visible()
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
    delayed, aborted = [], []

    def delay(route: Route) -> None:
        delayed.append(route)

    page.route("**/products?*q=lamp&*", delay)
    page.on("requestfailed", lambda request: aborted.append(request.url))
    shop.search.fill("lamp")
    page.wait_for_function("() => location.hash.includes('q=lamp')")
    shop.search.fill("walnut")
    expect(shop.heading).to_have_text("Results for “walnut”")
    expect(shop.cards.first).to_contain_text("Walnut")
    assert len(delayed) == 1
    assert [url for url in aborted if "q=lamp" in url]


def test_a_search_from_another_page_opens_the_product_list(shop):
    shop.open("/products/1")
    shop.search.fill("kettle")
    shop.search.press("Enter")
    expect(shop.heading).to_have_text("Results for “kettle”")
    expect(shop.search).to_have_value("kettle")


def test_the_url_keeps_the_filters_and_the_sort_order(page, shop, complaints, take_screenshot):
    shop.open()
    page.get_by_role("checkbox", name="Lighting").check()
    expect(shop.heading).to_have_text("Lighting")
    expect(shop.cards).to_have_count(12)
    page.get_by_role("checkbox", name="Garden").check()
    expect(shop.cards).to_have_count(24)
    page.get_by_label("Sort by").select_option("price")
    page.get_by_label("Minimum price").fill("40")
    page.get_by_label("Minimum price").press("Enter")
    expect(page.get_by_role("button", name="Remove filter: From 40")).to_be_visible()
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
    # Clearing the filters keeps the sort order.
    assert page.url.endswith("#/?sort=price")
    assert complaints == []


def test_a_search_without_results_offers_all_products(page, shop, take_screenshot):
    shop.open("/?q=zzzzqqqq")
    expect(page.get_by_role("heading", name="No results")).to_be_visible()
    take_screenshot("shop-nothing-found")
    page.get_by_role("button", name="Show all products").click()
    expect(shop.cards).to_have_count(24)
    expect(shop.search).to_have_value("")


def test_going_back_restores_the_list(page, shop):
    shop.open()
    page.get_by_role("button", name="Show more").click()
    expect(shop.cards).to_have_count(48)
    # The first new product has the focus.
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


def test_the_last_page_of_the_list_has_no_button_for_more(page, shop):
    shop.open("/?category=kitchen&category=desk&category=audio")
    more = page.get_by_role("button", name="Show more")
    expect(page.locator("#count")).to_have_text("24 of 36 products")
    more.click()
    expect(shop.cards).to_have_count(36)
    expect(more).to_be_hidden()
    expect(page.locator("#count")).to_have_text("36 products")


def test_a_product_page_shows_related_products(page, shop, complaints, take_screenshot):
    shop.open("/products/4")
    expect(shop.heading).to_have_text("Conical Burr Hand Coffee Grinder")
    expect(page).to_have_title("Conical Burr Hand Coffee Grinder · Shopfleet")
    expect(page.get_by_text("$79.00")).to_be_visible()
    expect(page.get_by_role("heading", name="More in Kitchen")).to_be_visible()
    expect(shop.cards).to_have_count(4)
    take_screenshot("shop-product")
    page.get_by_role("navigation", name="Breadcrumb").get_by_role("link", name="Kitchen").click()
    expect(shop.heading).to_have_text("Kitchen")
    assert complaints == []


def test_a_sold_out_product_cannot_be_added_to_the_cart(page, shop):
    shop.open("/products/12")
    expect(page.get_by_text("Sold out", exact=True).first).to_be_visible()
    expect(page.get_by_role("button", name="Add to cart", exact=True)).to_have_count(0)
    shop.open("/?category=kitchen")
    card = shop.cards.filter(has_text="Olive Wood Salad Servers")
    expect(card).to_contain_text("Sold out")
    expect(card.get_by_role("button")).to_have_count(0)


def test_unknown_products_and_pages_are_reported(page, shop, take_screenshot):
    shop.open("/products/999999")
    expect(page.get_by_text("This product is no longer available")).to_be_visible()
    shop.open("/no/such/page")
    expect(shop.heading).to_have_text("Page not found")
    take_screenshot("shop-no-such-page")
    page.get_by_role("link", name="Continue shopping").click()
    expect(shop.cards).to_have_count(24)


def test_every_link_of_the_developers_page_works(page, shop):
    shop.open("/developers")
    expect(page.locator("td .badge", has_text="Healthy")).to_have_count(5)
    links = {link.get_attribute("href") for link in page.get_by_role("link").all()}
    assert {"/docs", "/docs/auth.json", "/healthz/catalog-service"} <= links
    for link in links:
        if link.startswith("/"):
            assert page.request.get(link).status == 200, link


def test_a_button_shows_the_filters_on_a_phone(page, shop, take_screenshot):
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


def test_without_a_connection_the_page_shows_an_error_and_recovers(page, shop, take_screenshot):
    shop.open()
    page.context.set_offline(True)
    page.get_by_label("Sort by").select_option("price")
    expect(page.get_by_text("Could not reach the shop.")).to_be_visible()
    take_screenshot("outage-connection")
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(shop.cards).to_have_count(24)


@pytest.fixture
def visits(page) -> Iterator[list[str]]:
    """The documents that the page requests."""
    urls: list[str] = []

    def note(request: Request) -> None:
        if request.is_navigation_request():
            urls.append(request.url)

    page.on("request", note)
    yield urls
    page.remove_listener("request", note)


def test_a_page_reloads_itself_once_if_a_script_fails_to_load(page, shop, visits):
    def lose_the_first(route: Route) -> None:
        if len(visits) == 1:
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/assets/lib/dom.js", lose_the_first)
    page.goto("/")
    expect(shop.cards).to_have_count(24)
    assert len(visits) == 2


def test_a_page_whose_scripts_do_not_load_shows_an_error(page, visits, take_screenshot):
    page.route("**/assets/lib/dom.js", lambda route: route.abort("connectionreset"))
    page.goto("/")
    expect(page.get_by_role("heading", name="This is taking longer than usual")).to_be_visible()
    assert len(visits) == 2
    take_screenshot("outage-scripts")
    page.unroute_all()
    page.get_by_role("link", name="Reload page").click()
    expect(page.locator(".product-card")).to_have_count(24)
