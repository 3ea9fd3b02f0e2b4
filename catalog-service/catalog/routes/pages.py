"""The pages of products and categories, which need neither a token nor scripts.

Each is the storefront's own page with a title, structured data and text added. The storefront's scripts then
replace the text by the view.
"""

from pathlib import Path

from apiflask import APIBlueprint
from flask import Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

import shared
from catalog.routes.products import pack
from catalog.schemas.pages import Page, address_category, address_product, describe_category, describe_product
from catalog.sources import Source
from catalog.use_cases import pages as use_cases
from catalog.use_cases.pages import Sitemap
from catalog.use_cases.products import find_by_slug
from shared.database import Database
from shared.errors import DatabaseUnavailable, NotFound, Problem
from shared.openapi import Responses, document_errors
from shared.verdict import kept_by_gateway

HTML, XML, TEXT = "text/html; charset=utf-8", "application/xml; charset=utf-8", "text/plain; charset=utf-8"
TEMPLATES = Path(__file__).parent.parent / "templates"
# Next to the package `shared`, in the repository as in the image.
STOREFRONT = Path(shared.__file__).parent.parent / "gateway" / "storefront"
# Search engines read the sitemap rarely.
KEPT = {"X-Accel-Expires": "600", "Cache-Control": "public, max-age=600"}


def _describe(description: str, content_type: str) -> Responses:
    kind = content_type.partition(";")[0]
    return {
        200: {"description": description, "content": {kind: {"schema": {"type": "string"}}}},
        304: {"description": "Not modified: it still matches If-None-Match."},
    }


MOVED: Responses = {301: {"description": "Moved; Location has the current address."}}


def _describe_error(problem: type[Problem]) -> Responses:
    # A path that no route can have, such as one with a line break, is answered like any other unknown path.
    status = problem.status
    error = document_errors(problem)[status]["content"]
    return {
        status: {
            "description": "A page that says so.",
            "content": {**_describe("", HTML)[200]["content"], **error},
        }
    }


MISSING = _describe_error(NotFound) | _describe_error(DatabaseUnavailable)


def page_routes(database: Database, source: Source, currency: str, public_url: str) -> APIBlueprint:
    """Return the routes of pages, the sitemap and robots.txt."""
    routes = APIBlueprint("pages", __name__)
    base = public_url.rstrip("/")
    templates = Environment(
        # The storefront's page has its blocks in comments, so that the gateway can serve it unchanged.
        block_start_string="<!--%",
        block_end_string="%-->",
        loader=FileSystemLoader([TEMPLATES, STOREFRONT]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )

    def render(page: Page) -> bytes:
        return templates.get_template("page.html").render(page=page).encode()

    def render_sitemap(sitemap: Sitemap, *, has_front_page: bool) -> Response:
        template = templates.get_template("sitemap.xml")
        text = template.render(
            sitemap=sitemap, base=base, has_front_page=has_front_page, address=address_category
        )
        return pack(text.encode(), XML, KEPT)

    @routes.errorhandler(Problem)
    def show_problem(problem: Problem) -> Response:
        """Answer with a page; the storefront's scripts try again after an outage."""
        if problem.status == 404:
            page = Page("Page not found", text="The page may have moved, or the address may be wrong.")
        else:
            page = Page("The shop is not available", text=problem.detail)
        return Response(render(page), problem.status, problem.headers, content_type=HTML)

    @routes.get("/p/<slug>")
    @routes.doc(responses=_describe("The page.", HTML) | MOVED | MISSING)
    def show_product_page(slug: str) -> Response:
        """Show the page of a product; 301 with its address if the slug is a former one."""
        found, _age = find_by_slug(database, source, slug)
        if found.product.slug != slug:
            return _move(address_product(found.product))
        page = describe_product(base, found.product, found.breadcrumbs, currency)
        return pack(render(page), HTML, kept_by_gateway())

    @routes.get("/c/<path:category_path>")
    @routes.doc(responses=_describe("The page.", HTML) | MOVED | MISSING)
    def show_category_page(category_path: str) -> Response:
        """Show the page of a category; 301 with its address if it has moved."""
        found = use_cases.open_category_page(database, source, category_path)
        if isinstance(found, str):
            return _move(address_category(found))
        page = describe_category(base, found.placed.category, found.placed.breadcrumbs, found.products)
        return pack(render(page), HTML, kept_by_gateway())

    @routes.get("/sitemap.xml")
    @routes.doc(responses=_describe("The sitemap.", XML) | _describe_error(DatabaseUnavailable))
    def show_sitemap() -> Response:
        """List all pages for search engines, or the files of the list if it has more than 50 000 entries."""
        return render_sitemap(use_cases.read_sitemap(database), has_front_page=True)

    @routes.get("/sitemaps/<int(max=10000):number>.xml")
    @routes.doc(responses=_describe("A part of the sitemap.", XML) | MISSING)
    def show_sitemap_file(number: int) -> Response:
        """List the pages in one file of a sitemap that has several."""
        return render_sitemap(use_cases.read_sitemap_file(database, number), has_front_page=number == 0)

    @routes.get("/robots.txt")
    @routes.doc(responses=_describe("The rules for search engines.", TEXT))
    def show_robots() -> Response:
        """Allow search engines to read all pages, and name the sitemap."""
        return pack(f"User-agent: *\nAllow: /\n\nSitemap: {base}/sitemap.xml\n".encode(), TEXT, KEPT)

    return routes


def _move(address: str) -> Response:
    # A browser would keep a permanent redirect for ever, but a slug may get back to its product.
    return Response(status=301, headers={"Location": address, **kept_by_gateway()})
