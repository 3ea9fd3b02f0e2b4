"""catalog-service over HTTP."""

from typing import Any
from uuid import UUID

from apiflask import APIBlueprint
from flask import Response

from catalog import use_cases
from catalog.domain import LARGEST_ID
from catalog.schemas import (
    PriceList,
    PriceOut,
    PriceQuery,
    ProductOut,
    ProductPage,
    ReservationIn,
    ReservationOut,
    ReservationStateOut,
)
from catalog.sources import Source
from shared import context
from shared.access import require_customer
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


def reservation_routes(database: Database, source: Source, currency: str) -> APIBlueprint:
    """Return the routes of orders-service: prices, and stock for orders."""
    routes = APIBlueprint("reservations", __name__, url_prefix="/internal")

    @routes.put("/reservations/<uuid:order_id>")
    @routes.input(ReservationIn)
    @routes.output(ReservationOut)
    @routes.doc(responses=[409])
    def reserve(order_id: UUID, json_data: ReservationIn) -> ReservationOut:
        """Hold stock for an order, all lines or none.

        409 is `out_of_stock` or `product_unavailable`, both with `lines`, `reservation_conflict` or
        `reservation_closed`.
        """
        context.bind({"order.id": str(order_id)})
        require_customer(json_data.customer)
        reservation = use_cases.reserve_stock(
            database, source, currency, order_id, json_data.customer, json_data.quantities
        )
        return ReservationOut.of(reservation)

    @routes.post("/reservations/<uuid:order_id>/commit")
    @routes.output(ReservationStateOut)
    @routes.doc(responses=[409, 410])
    def commit(order_id: UUID) -> ReservationStateOut:
        """Sell what is held; 410 if it has lapsed, 409 if it was given back."""
        context.bind({"order.id": str(order_id)})
        state = use_cases.commit_reservation(database, order_id)
        return ReservationStateOut(order_id=order_id, state=state)

    @routes.delete("/reservations/<uuid:order_id>")
    @routes.output(ReservationStateOut)
    def release(order_id: UUID) -> ReservationStateOut:
        """Give back what is held or was sold; without a reservation, keep a late one out."""
        context.bind({"order.id": str(order_id)})
        state = use_cases.release_reservation(database, order_id)
        return ReservationStateOut(order_id=order_id, state=state)

    @routes.get("/prices")
    @routes.input(PriceQuery, location="query")
    @routes.output(PriceList)
    def list_prices(query_data: PriceQuery) -> PriceList:
        """List what products cost and how many can be sold; what is not for sale is left out."""
        products = use_cases.read_products(database, source, query_data.numbers)
        return PriceList(data=[PriceOut.of(product) for product in products], currency=currency)

    return routes


def _read_cursor(cursor: str | None) -> int:
    position = 0 if cursor is None else decode_cursor(cursor)
    if not isinstance(position, int) or isinstance(position, bool) or not 0 <= position <= LARGEST_ID:
        raise bad_cursor()
    return position
