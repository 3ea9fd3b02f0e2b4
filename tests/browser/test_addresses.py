"""Addresses of products and categories: for readers without scripts, and for navigation in the page."""

import json
import re
import secrets
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from tests.browser.back_office import add_product, open_back_office, wait_for_content
from tests.browser.storefront import PHONE, Storefront, expect_content, measure_layout_shift
from tests.stacks import ProcessStack, Shopper
from tests.waiting import wait_for

pytestmark = pytest.mark.shop

GRINDER = "/p/conical-burr-hand-coffee-grinder"
HOSTILE = '"Best" </script><script>alert(1)</script> & \u202e\u05e9\u05dc 🫖'


@pytest.fixture
def crawler(browser: Browser, running: ProcessStack) -> Iterator[Page]:
    """A page that runs no scripts."""
    context = browser.new_context(base_url=running.url, java_script_enabled=False)
    yield context.new_page()
    context.close()


@pytest.fixture
def documents(page: Page) -> Iterator[list[str]]:
    """The documents that the page has loaded."""
    urls: list[str] = []

    def note(request: Request) -> None:
        if request.is_navigation_request():
            urls.append(request.url)

    page.on("request", note)
    yield urls
    page.remove_listener("request", note)


@pytest.fixture
def branch(admin: Shopper) -> str:
    """A category with a category below it, each with a product; they are listed."""
    name = f"branch-{secrets.token_hex(4)}"
    add_product(admin, category=name, title=f"Pan of {name}")
    add_product(admin, category=f"{name}/knives", title=f"Knife of {name}")
    wait_for(lambda: count_products(admin, name) == 2)
    return name


def count_products(admin: Shopper, path: str) -> int:
    """Return the number of products in a category and below; 0 for an unknown category."""
    answer = admin.get(f"/categories/{path}")
    return int(answer.json()["count"]) if answer.status_code == 200 else 0


def test_a_reader_without_scripts_gets_the_product_and_the_category(crawler: Page) -> None:
    answer = crawler.goto(GRINDER)
    assert answer is not None
    assert answer.status == 200
    expect(crawler).to_have_title("Conical Burr Hand Coffee Grinder · Shopfleet")
    expect(crawler.get_by_role("heading", level=1).first).to_have_text("Conical Burr Hand Coffee Grinder")
    expect(crawler.get_by_text("79.00 USD")).to_be_visible()
    assert crawler.locator("link[rel=canonical]").get_attribute("href").endswith(GRINDER)
    facts = json.loads(crawler.locator("script[type='application/ld+json']").text_content())
    assert facts["@graph"][0]["offers"]["price"] == "79.00"
    crawler.get_by_role("navigation", name="Breadcrumb").get_by_role("link", name="Kitchen").click()
    expect(crawler).to_have_url(re.compile("/c/kitchen$"))
    expect(crawler.get_by_role("heading", level=1).first).to_have_text("Kitchen")
    crawler.get_by_role("link", name="Conical Burr Hand Coffee Grinder").click()
    expect(crawler).to_have_url(re.compile(f"{GRINDER}$"))


def test_a_missing_page_is_a_404_for_a_reader_and_for_the_storefront(
    crawler: Page, page: Page, shop: Storefront
) -> None:
    for path in ("/p/no-such-product", "/c/no/such/category"):
        answer = crawler.goto(path)
        assert answer is not None
        assert answer.status == 404, path
        expect(crawler.get_by_role("heading", level=1).first).to_have_text("Page not found")
    page.goto("/p/no-such-product")
    expect(page.get_by_text("This product is no longer available")).to_be_visible()


def test_a_product_page_that_is_opened_directly_becomes_the_storefront(
    page: Page, shop: Storefront, complaints: list[str], admin: Shopper
) -> None:
    product = add_product(admin, title=f"{HOSTILE} {secrets.token_hex(4)}", description=HOSTILE)
    page.goto(f"/p/{product['slug']}?utm_source=mail")
    expect(page.get_by_role("button", name="Add to cart", exact=True)).to_be_visible()
    expect(shop.heading).to_have_text(product["title"])
    expect(page).to_have_title(f"{product['title']} · Shopfleet")
    assert page.url.endswith(f"/p/{product['slug']}")
    assert measure_layout_shift(page) < 0.1
    # The policy allows the data block, and nothing in it runs.
    assert complaints == []


def test_navigation_between_views_never_loads_the_page_again(
    page: Page, shop: Storefront, documents: list[str], complaints: list[str]
) -> None:
    shop.open()
    loaded = len(documents)
    link = page.get_by_role("link", name="Conical Burr Hand Coffee Grinder")
    assert link.get_attribute("href") == GRINDER
    link.click()
    expect(shop.heading).to_have_text("Conical Burr Hand Coffee Grinder")
    expect(page).to_have_url(re.compile(f"{GRINDER}$"))
    page.get_by_role("navigation", name="Breadcrumb").get_by_role("link", name="Kitchen").click()
    expect(page).to_have_url(re.compile("/c/kitchen$"))
    expect(shop.heading).to_have_text("Kitchen")
    expect(page).to_have_title("Kitchen · Shopfleet")
    expect(shop.cards).to_have_count(12)
    page.get_by_label("Sort by").select_option("price")
    expect(page).to_have_url(re.compile(r"/c/kitchen\?sort=price$"))
    page.get_by_role("link", name="Orders").click()
    expect(page).to_have_url(re.compile("/#/orders$"))
    expect(shop.heading).to_have_text("Order history")
    page.go_back()
    expect(shop.heading).to_have_text("Kitchen")
    expect(page).to_have_url(re.compile(r"/c/kitchen\?sort=price$"))
    page.go_back()
    expect(shop.heading).to_have_text("Conical Burr Hand Coffee Grinder")
    page.go_forward()
    expect(shop.heading).to_have_text("Kitchen")
    page.get_by_role("link", name="Shopfleet").first.click()
    expect(shop.cards).to_have_count(24)
    expect(page).to_have_url(re.compile("/#/$"))
    assert len(documents) == loaded
    # What the server said about its page is gone with the page.
    assert page.locator("link[rel=canonical]").count() == 0
    assert complaints == []


def test_a_link_opens_in_a_new_tab(page: Page, shop: Storefront) -> None:
    shop.open()
    link = page.get_by_role("link", name="Conical Burr Hand Coffee Grinder")
    for how in ({"button": "middle"}, {"modifiers": ["Control"]}):
        with page.context.expect_page() as opened:
            link.click(**how)
        expect(opened.value).to_have_url(re.compile(f"{GRINDER}$"))
        expect(opened.value.get_by_role("button", name="Add to cart", exact=True)).to_be_visible()
        opened.value.close()
    expect(shop.cards).to_have_count(24)


def test_going_back_to_a_category_restores_the_list_and_its_position(page: Page, shop: Storefront) -> None:
    page.set_viewport_size(PHONE)
    shop.open("/c/kitchen")
    expect(shop.cards).to_have_count(12)
    expect_content(page)
    link = shop.cards.nth(10).get_by_role("link")
    link.scroll_into_view_if_needed()
    before = page.evaluate("scrollY")
    assert before > 0
    link.click()
    expect(page).to_have_url(re.compile("/p/"))
    page.wait_for_function("() => scrollY === 0")
    page.go_back()
    expect(shop.cards).to_have_count(12)
    page.wait_for_function("(before) => Math.abs(scrollY - before) < 5", arg=before)


def test_old_links_lead_to_the_new_addresses(page: Page, shop: Storefront, admin: Shopper) -> None:
    product = add_product(admin)
    old = product["slug"]
    new = f"{old}-new"
    assert admin.patch(f"/products/{product['id']}", json={"version": 1, "slug": new}).status_code == 200
    addresses = {
        "/#/products/4": f"{GRINDER}$",
        "/#/?category=kitchen&sort=price": r"/c/kitchen\?sort=price$",
        f"/p/{old}": f"/p/{new}$",
        f"/#/products/{product['id']}": f"/p/{new}$",
    }
    for old_address, address in addresses.items():
        page.goto(old_address)
        expect(page).to_have_url(re.compile(address))
        expect(shop.heading).to_be_visible()


def test_a_category_shows_the_way_to_it_and_what_is_below(
    page: Page, shop: Storefront, branch: str, complaints: list[str]
) -> None:
    shop.open(f"/c/{branch}")
    expect(shop.cards).to_have_count(2)
    expect(page.locator("#count")).to_have_text("2 products")
    title = branch.capitalize()
    expect(shop.heading).to_have_text(title)
    expect(page.get_by_role("checkbox", name=f"{title} / Knives")).to_be_visible()
    page.get_by_role("list", name="Subcategories").get_by_role("link", name="Knives").click()
    expect(shop.heading).to_have_text("Knives")
    expect(shop.cards).to_have_count(1)
    expect(page).to_have_url(re.compile(f"/c/{branch}/knives$"))
    way = page.get_by_role("navigation", name="Breadcrumb")
    expect(way.get_by_role("link")).to_have_text(["Shop", title])
    shop.cards.get_by_role("link").click()
    expect(way.get_by_role("link")).to_have_text(["Shop", title, "Knives"])
    way.get_by_role("link", name=title).click()
    expect(shop.cards).to_have_count(2)
    assert complaints == []


def test_an_admin_titles_orders_and_moves_categories(
    page: Page, shop: Storefront, branch: str, admin: Shopper, complaints: list[str]
) -> None:
    add_product(admin, category=f"{branch}/pans")
    wait_for(lambda: count_products(admin, branch) == 3)
    open_back_office(page, "categories")
    wait_for_content(page)
    row = page.locator(".tree-row")

    page.get_by_role("button", name=f"Edit {branch.capitalize()}", exact=True).click()
    page.get_by_role("dialog").get_by_label("Title").fill(f"Cooking {branch}")
    page.get_by_role("dialog").get_by_label("Path").fill(f"home-{branch}/cooking")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(row.filter(has_text=f"home-{branch}/cooking/pans")).to_be_visible()
    moved = admin.get(f"/categories/home-{branch}/cooking").json()
    assert (moved["title"], moved["count"]) == (f"Cooking {branch}", 3)
    assert [child["title"] for child in moved["children"]] == ["Knives", "Pans"]

    pans = row.filter(has_text=f"home-{branch}/cooking/pans")
    pans.get_by_role("button", name="Move Pans up").click()
    wait_for(
        lambda: (
            [child["title"] for child in admin.get(f"/categories/home-{branch}/cooking").json()["children"]]
            == ["Pans", "Knives"]
        )
    )
    wait_for_content(page)

    page.get_by_role("button", name=f"Edit Cooking {branch}", exact=True).click()
    page.get_by_role("dialog").get_by_label("Path").fill("kitchen")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog")).to_contain_text("Another category has this path.")
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    assert [each for each in complaints if "409" not in each] == []

    # The old address leads to the category at its new place.
    page.goto(f"/c/{branch}")
    expect(page).to_have_url(re.compile(f"/c/home-{branch}/cooking$"))
    expect(shop.heading).to_have_text(f"Cooking {branch}")
    expect(page.get_by_role("list", name="Subcategories").get_by_role("link")).to_have_text(
        ["Pans", "Knives"]
    )


def test_an_admin_sets_the_address_of_a_product(page: Page, admin: Shopper) -> None:
    product = add_product(admin)
    new = f"kettle-{secrets.token_hex(4)}"
    open_back_office(page, f"products/{product['id']}")
    page.get_by_label("Slug").fill("Not a slug")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_label("Slug")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Slug").fill(new)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Version 2, updated")).to_be_visible()
    page.get_by_role("link", name="View in shop").click()
    expect(page).to_have_url(re.compile(f"/p/{new}$"))
    former = page.request.get(f"/p/{product['slug']}", max_redirects=0)
    assert (former.status, former.headers["location"]) == (301, f"/p/{new}")
