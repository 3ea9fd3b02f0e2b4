"""catalog-service over HTTP."""

from typing import Any

from apiflask import APIBlueprint
from flask import Response

from catalog import use_cases
from catalog.domain import LARGEST_ID
from catalog.schemas import ProductOut, ProductPage
from catalog.sources import Source
from shared.database import Database
from shared.pages import PageQuery, bad_cursor, decode_cursor, encode_cursor

# A browser may keep it and must ask before it shows it again; nobody in between may.
CACHING = {"Cache-Control": "private, no-cache"}


def product_routes(database: Database, source: Source, currency: str) -> APIBlueprint:
    """Return the routes of whoever looks around."""
    routes = APIBlueprint("products", __name__)

    @routes.get("/products")
    @routes.input(PageQuery, location="query")
    @routes.output(ProductPage)
    @routes.doc(
        responses={204: "The catalogue is empty.", 502: "The product source failed; there is no copy."}
    )
    def list_products(query_data: PageQuery) -> Any:
        """List what is for sale, by id."""
        after = _read_cursor(query_data.cursor)
        products, last = use_cases.list_products(database, source, after=after, limit=query_data.limit)
        if not products and query_data.cursor is None:
            return Response(status=204, headers=CACHING)
        following = None if last is None else encode_cursor(last)
        page = ProductPage(data=[ProductOut.of(product, currency) for product in products], next=following)
        return page, 200, CACHING

    @routes.get("/products/<int:product_id>")
    @routes.output(ProductOut)
    def show_product(product_id: int) -> Any:
        """Show one product."""
        return ProductOut.of(use_cases.find_product(database, product_id), currency), 200, CACHING

    return routes


def _read_cursor(cursor: str | None) -> int:
    position = 0 if cursor is None else decode_cursor(cursor)
    if not isinstance(position, int) or isinstance(position, bool) or not 0 <= position <= LARGEST_ID:
        raise bad_cursor()
    return position
