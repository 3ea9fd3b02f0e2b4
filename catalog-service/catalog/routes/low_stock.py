"""Admin route: the variants with low stock."""

from apiflask import APIBlueprint

from catalog.schemas.low_stock import LowStockOut, LowStockPage, decode_place, encode_place
from catalog.use_cases import low_stock as use_cases
from shared.database import Database
from shared.pages import PageQuery


def low_stock_routes(database: Database) -> APIBlueprint:
    """Return the admin route that lists the variants with low stock."""
    routes = APIBlueprint("low_stock", __name__)

    @routes.get("/products/low-stock")
    @routes.input(PageQuery, location="query")
    @routes.output(LowStockPage)
    def list_low_stock(query_data: PageQuery) -> LowStockPage:
        """List the variants whose `stock` is at or below their `low_stock_threshold`, by product.

        A variant without a threshold is never in the list.
        """
        found, following = use_cases.list_low_stock(
            database, after=decode_place(query_data.cursor), limit=query_data.limit
        )
        return LowStockPage(data=[LowStockOut.of(variant) for variant in found], next=encode_place(following))

    return routes
