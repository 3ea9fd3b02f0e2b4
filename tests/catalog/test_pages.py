"""The pages that search engines read: no token, no scripts, real statuses, escaped text."""

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from sqlalchemy import text

from catalog.use_cases import pages as use_cases
from catalog.use_cases.products import recount
from tests.catalog.upstreams import execute

HOSTILE = (
    '"Best" </script><script>alert(1)</script> <!-- & \u202e\u05e9\u05dc 🫖 {{ 7*7 }} <!--% block x %-->'
)
XML = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
PUBLIC_URL = "https://shop.example"


class Document(HTMLParser):
    """The parts of a page that a search engine reads."""

    def __init__(self, text):
        super().__init__()
        self.metas, self.links, self.anchors, self.scripts, self.texts = {}, {}, [], [], []
        self.title = self.heading = ""
        self._within = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag == "meta":
            self.metas[values.get("name") or values.get("property")] = values.get("content")
        elif tag == "link":
            self.links.setdefault(values["rel"], values["href"])
        elif tag == "a":
            self.anchors.append(values["href"])
        elif tag == "script":
            self.scripts.append([values, ""])
        if tag not in {"meta", "link", "input", "img", "path"}:
            self._within.append(tag)

    def handle_endtag(self, tag):
        while self._within and self._within.pop() != tag:
            pass

    def handle_data(self, data):
        if "title" in self._within:
            self.title += data
        elif "script" in self._within:
            self.scripts[-1][1] += data
        elif "h1" in self._within and "noscript" not in self._within:
            self.heading += data
        elif "main" in self._within:
            self.texts.append(data.strip())

    @property
    def facts(self):
        """Return the structured data by type."""
        (found,) = [body for values, body in self.scripts if values.get("type") == "application/ld+json"]
        return {each["@type"]: each for each in json.loads(found)["@graph"]}


def read_xml(body):
    """Return the root of a document; the parser refuses one that is not well-formed."""
    return ElementTree.fromstring(body)  # noqa: S314  # The service's own answer.


@pytest.fixture
def app(catalogue, sample_app):
    """catalog-service with the bundled sample at the address of a shop."""
    return catalogue.get(public_url=PUBLIC_URL)


@pytest.fixture
def visit(app):
    """Open a page as a reader without a token; return the answer and the document."""
    client = app.test_client()

    def visit(path, **headers):
        answer = client.get(path, headers=headers)
        assert answer.content_type == "text/html; charset=utf-8"
        return answer, Document(answer.text)

    return visit


@pytest.fixture
def send(client, auth):
    """Call a replica on the same database as an admin."""

    def send(method, path, body=None):
        return client.open(path, method=method, json=body, headers=auth.bearer(role="admin"))

    return send


def test_the_page_of_a_product_describes_it(visit):
    answer, page = visit("/p/walnut-chopping-board-with-juice-groove")
    address = f"{PUBLIC_URL}/p/walnut-chopping-board-with-juice-groove"
    assert answer.status_code == 200
    assert page.title == "Walnut Chopping Board with Juice Groove · Shopfleet"
    assert page.heading == "Walnut Chopping Board with Juice Groove"
    assert page.links["canonical"] == page.metas["og:url"] == address
    assert page.metas["description"].startswith("Cut from a single plank of oiled walnut")
    assert len(page.metas["description"]) <= 160
    assert page.metas["og:type"] == "product"
    assert page.metas["og:image"] == f"{PUBLIC_URL}/images/kit-0001.svg"
    assert {"64.90 USD", "In stock"} <= set(page.texts)
    assert "/c/kitchen" in page.anchors
    product = page.facts["Product"]
    assert (product["name"], product["sku"], product["url"]) == (page.heading, "KIT-0001", address)
    assert product["brand"] == {"@type": "Brand", "name": "Tindlecroft"}
    assert product["offers"] == {
        "@type": "Offer",
        "price": "64.90",
        "priceCurrency": "USD",
        "availability": "https://schema.org/InStock",
        "url": address,
    }
    steps = page.facts["BreadcrumbList"]["itemListElement"]
    assert [(each["position"], each["item"]) for each in steps] == [
        (1, f"{PUBLIC_URL}/c/kitchen"),
        (2, address),
    ]


def test_a_product_with_further_variants_has_the_range_of_its_prices(visit, database):
    execute(
        database,
        "INSERT INTO products (id, sku, title, category, unit_amount, description, on_hand, parent_id,"
        " removed_at, option_values) SELECT 9000000000000500 + n, 'V-' || n, '', '', 5000 + n * 1000, '', 0,"
        " 1, 'infinity', jsonb_build_object('Size', n) FROM generate_series(1, 4) AS n",
    )
    _answer, page = visit("/p/walnut-chopping-board-with-juice-groove")
    offers = page.facts["Product"]["offers"]
    assert (offers["@type"], offers["lowPrice"], offers["highPrice"], offers["offerCount"]) == (
        "AggregateOffer",
        "60.00",
        "90.00",
        5,
    )
    assert "60.00 to 90.00 USD" in page.texts


def test_a_sold_out_product_is_said_to_be_sold_out(visit):
    _answer, page = visit("/p/olive-wood-salad-servers")
    assert page.facts["Product"]["offers"]["availability"] == "https://schema.org/OutOfStock"
    assert "Sold out" in page.texts


def test_hostile_text_stays_text(visit, send, database):
    made = send(
        "POST",
        "/products",
        {
            "title": HOSTILE,
            "description": HOSTILE,
            "brand": HOSTILE,
            "category": "a</title>/<b>",
            "unit_amount": 5,
            "images": ["https://elsewhere.example/a.png", '/images/"><script>.svg'],
        },
    ).json
    recount(database)
    for path in (f"/p/{made['slug']}", "/c/a%3C/title%3E/%3Cb%3E", "/c/a%3C"):
        answer, page = visit(path)
        assert answer.status_code == 200, path
        kinds = [values.get("type") or values.get("src") for values, _body in page.scripts]
        assert kinds == ["application/ld+json", "/assets/reload.js", "module"], path
        assert "alert(1)" not in "".join(body for values, body in page.scripts if "src" in values)
        # No inline style or script that a browser would run.
        assert "<style" not in answer.text
        assert " style=" not in answer.text
        assert not re.search(r"<[^>]* on\w+=", answer.text)
    _answer, page = visit(f"/p/{made['slug']}")
    assert page.heading == HOSTILE
    assert page.title == f"{HOSTILE} · Shopfleet"
    assert page.metas["og:title"] == HOSTILE
    assert page.facts["Product"]["name"] == page.facts["Product"]["brand"]["name"] == HOSTILE
    assert page.facts["Product"]["description"] == HOSTILE
    assert len(page.facts["Product"]["image"]) == 1


def test_the_page_of_a_category_links_to_what_is_below(visit, send, database):
    send("PATCH", "/categories/kitchen", {"path": "home/Küche", "title": "Küche & mehr"})
    recount(database)
    answer, page = visit("/c/home/K%C3%BCche")
    assert answer.status_code == 200
    assert page.heading == "Küche & mehr"
    assert page.links["canonical"] == f"{PUBLIC_URL}/c/home/K%C3%BCche"
    assert page.anchors.count("/p/walnut-chopping-board-with-juice-groove") == 1
    assert "/c/home" in page.anchors
    steps = page.facts["BreadcrumbList"]["itemListElement"]
    assert [each["name"] for each in steps] == ["Home", "Küche & mehr"]
    _answer, above = visit("/c/home")
    assert "/c/home/K%C3%BCche" in above.anchors


def test_former_addresses_redirect_and_unknown_ones_are_pages_with_404(app, visit, send):
    send("PATCH", "/products/1", {"version": 1, "slug": "board"})
    send("PATCH", "/categories/kitchen", {"path": "home/Küche"})
    client = app.test_client()
    moved = {
        path: (answer.status_code, answer.headers.get("Location"))
        for path in ("/p/walnut-chopping-board-with-juice-groove", "/c/kitchen")
        for answer in [client.get(path)]
    }
    assert moved == {
        "/p/walnut-chopping-board-with-juice-groove": (301, "/p/board"),
        "/c/kitchen": (301, "/c/home/K%C3%BCche"),
    }
    send("DELETE", "/products/1")
    for path in ("/p/board", "/p/nothing", "/p/a%00b", "/c/nothing", "/c/a%00b", "/sitemaps/5.xml"):
        answer, page = visit(path)
        assert (answer.status_code, page.metas["robots"]) == (404, "noindex"), path
        assert page.heading == "Page not found"
        assert "canonical" not in page.links
        assert "X-Accel-Expires" not in answer.headers


def test_a_category_without_products_for_sale_is_404(visit, send, database):
    send("POST", "/products", {"title": "Only", "unit_amount": 1, "category": "single"})
    recount(database)
    answer, _page = visit("/c/single")
    assert answer.status_code == 200
    with database.transaction() as connection:
        connection.execute(text("UPDATE products SET removed_at = now() WHERE category = 'single'"))
        connection.execute(text("UPDATE recount SET due_at = now()"))
    recount(database)
    answer, _page = visit("/c/single")
    assert answer.status_code == 404


def test_a_page_does_not_depend_on_a_cookie_or_token_and_is_cacheable(visit, auth):
    path = "/p/walnut-chopping-board-with-juice-groove"
    plain, _page = visit(path)
    for headers in ({"Cookie": "token=x"}, auth.bearer(role="admin"), {"Authorization": "Bearer x"}):
        answer, _page = visit(path, **headers)
        assert (answer.status_code, answer.data) == (200, plain.data)
        assert "Set-Cookie" not in answer.headers
    assert "X-Accel-Expires" in plain.headers
    again, _page = visit(path, **{"Accept-Encoding": "identity"})
    assert again.headers["ETag"] == plain.headers["ETag"]


def test_the_sitemap_has_all_pages_of_the_shop(app, send):
    send("DELETE", "/products/2")
    answer = app.test_client().get("/sitemap.xml")
    assert answer.content_type == "application/xml; charset=utf-8"
    root = read_xml(answer.data)
    addresses = [found.text for found in root.iter(f"{XML}loc")]
    assert addresses[0] == f"{PUBLIC_URL}/"
    assert f"{PUBLIC_URL}/c/kitchen" in addresses
    assert f"{PUBLIC_URL}/p/walnut-chopping-board-with-juice-groove" in addresses
    assert sum("/p/" in address for address in addresses) == 119
    assert len(set(addresses)) == len(addresses)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", found.text) for found in root.iter(f"{XML}lastmod"))


def test_a_long_sitemap_is_an_index_of_files(app, monkeypatch):
    monkeypatch.setattr(use_cases, "MAX_URLS", 50)
    client = app.test_client()
    index = read_xml(client.get("/sitemap.xml").data)
    assert index.tag == f"{XML}sitemapindex"
    files = [found.text.removeprefix(PUBLIC_URL) for found in index.iter(f"{XML}loc")]
    assert files == [f"/sitemaps/{number}.xml" for number in range(4)]
    addresses = []
    for file in files:
        found = [each.text for each in read_xml(client.get(file).data).iter(f"{XML}loc")]
        assert 0 < len(found) <= 50
        addresses += found
    assert sum("/p/" in address for address in addresses) == 120
    assert len(set(addresses)) == len(addresses)
    assert client.get("/sitemaps/4.xml").status_code == 404


def test_robots_may_read_the_pages_and_find_the_sitemap(app):
    answer = app.test_client().get("/robots.txt")
    assert answer.content_type == "text/plain; charset=utf-8"
    assert answer.text.splitlines() == ["User-agent: *", "Allow: /", "", f"Sitemap: {PUBLIC_URL}/sitemap.xml"]


def test_without_a_database_a_page_still_loads_the_storefront(start_catalog, sample_app):
    app = start_catalog(database_url="postgresql://catalog@127.0.0.1:9/nothing")
    answer = app.test_client().get("/p/walnut-chopping-board-with-juice-groove")
    assert answer.status_code == 503
    assert answer.content_type == "text/html; charset=utf-8"
    assert "/assets/app.js" in answer.text
