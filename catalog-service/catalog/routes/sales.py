"""Admin routes for the sale of a variant."""

from typing import Any

from apiflask import APIBlueprint
from flask import Response

from catalog.errors import SaleNotFound, VariantNotFound
from catalog.schemas.sales import ProductSalesList, ProductSalesOut, ProductSalesQuery, SaleIn, SaleOut
from catalog.use_cases import sales as use_cases
from shared.database import Database
from shared.openapi import document_errors

PATH = "/products/<int:product_id>/variants/<int:variant_id>/sale"


def sale_routes(database: Database, currency: str) -> APIBlueprint:
    """Return the routes for sales."""
    routes = APIBlueprint("sales", __name__)

    @routes.get(PATH)
    @routes.output(SaleOut)
    @routes.doc(responses={204: "The variant has no sale.", **document_errors(VariantNotFound)})
    def show_sale(product_id: int, variant_id: int) -> Any:
        """Show the planned or running sale of a variant."""
        sale = use_cases.show_sale(database, product_id, variant_id)
        if sale is None:
            return Response(status=204)
        return SaleOut.of(sale, product_id, variant_id, currency)

    @routes.put(PATH)
    @routes.input(SaleIn)
    @routes.output(SaleOut)
    @routes.doc(responses=document_errors(VariantNotFound))
    def put_sale(product_id: int, variant_id: int, json_data: SaleIn) -> SaleOut:
        """Plan a sale of a variant; it replaces the planned or running one.

        While the sale runs, `unit_amount` is its price and `compare_at_amount` the price before. Afterwards
        the price returns. A price that is set during the sale becomes the price to return to; if it is lower
        than the sale's, it applies at once. `lowest_amount_30d` follows Directive 98/6/EC, article 6a.
        """
        sale = use_cases.put_sale(
            database, product_id, variant_id, json_data.unit_amount, json_data.starts, json_data.ends
        )
        return SaleOut.of(sale, product_id, variant_id, currency)

    @routes.delete(PATH)
    @routes.output({}, status_code=204)
    @routes.doc(responses=document_errors(VariantNotFound, SaleNotFound))
    def cancel_sale(product_id: int, variant_id: int) -> Any:
        """Cancel the sale of a variant; if it runs, it ends now and the price before returns."""
        use_cases.cancel_sale(database, product_id, variant_id)
        return "", 204

    @routes.get("/products/sales")
    @routes.input(ProductSalesQuery, location="query")
    @routes.output(ProductSalesList)
    def list_sales(query_data: ProductSalesQuery) -> ProductSalesList:
        """List the running and the planned sales of products: at most one entry of each kind per product."""
        found = use_cases.summarize_sales(database, query_data.product_id)
        return ProductSalesList(data=[ProductSalesOut.of(each, currency) for each in found])

    return routes
