"""Internal routes for orders-service: prices, and stock for orders."""

from uuid import UUID

from apiflask import APIBlueprint

from catalog.errors import (
    CatalogueLoading,
    ItemVariantRequired,
    OutOfStock,
    ProductUnavailable,
    ReservationClosed,
    ReservationConflict,
    ReservationLapsed,
    ReservationNotFound,
    StockInconsistent,
)
from catalog.schemas.reservations import (
    PriceList,
    PriceOut,
    PriceQuery,
    ReservationIn,
    ReservationOut,
    ReservationStateOut,
)
from catalog.sources import Source
from catalog.use_cases import products
from catalog.use_cases import reservations as use_cases
from shared import context
from shared.access import require_customer
from shared.batches import OrderBatch, OrderOutcomes
from shared.database import Database
from shared.openapi import document_errors

SHORT = {"product_id": 1, "requested": 5, "available": 2}
UNAVAILABLE = {"product_id": 404, "requested": 1, "available": 0}


def reservation_routes(database: Database, source: Source, currency: str) -> APIBlueprint:
    """Return the internal routes for orders-service."""
    routes = APIBlueprint("reservations", __name__, url_prefix="/internal")

    @routes.put("/reservations/<uuid:order_id>")
    @routes.input(ReservationIn)
    @routes.output(ReservationOut)
    @routes.doc(
        responses=document_errors(
            OutOfStock(lines=[SHORT]),
            ProductUnavailable(lines=[UNAVAILABLE]),
            ItemVariantRequired(lines=[{"product_id": 1}]),
            ReservationConflict,
            ReservationClosed,
            CatalogueLoading,
        )
    )
    def reserve(order_id: UUID, json_data: ReservationIn) -> ReservationOut:
        """Hold stock for an order, all lines or none.

        409 is `out_of_stock`, `product_unavailable` or `variant_required`, all with `lines`,
        `reservation_conflict` or `reservation_closed`.
        """
        context.bind({"order.id": str(order_id)})
        require_customer(json_data.customer)
        reservation = use_cases.reserve_stock(
            database,
            source,
            currency,
            order_id,
            json_data.customer,
            json_data.quantities,
            json_data.products,
        )
        return ReservationOut.of(reservation)

    @routes.post("/reservations/commit")
    @routes.input(OrderBatch)
    @routes.output(OrderOutcomes)
    def commit_together(json_data: OrderBatch) -> OrderOutcomes:
        """Commit the reservations of several orders; each order has its own outcome."""
        return OrderOutcomes.of(use_cases.commit_reservations(database, json_data.orders))

    @routes.post("/reservations/<uuid:order_id>/commit")
    @routes.output(ReservationStateOut)
    @routes.doc(
        responses=document_errors(
            ReservationNotFound, ReservationClosed, ReservationLapsed, StockInconsistent
        )
    )
    def commit(order_id: UUID) -> ReservationStateOut:
        """Commit a reservation: its units are sold. 410 if it has lapsed, 409 if it was released."""
        context.bind({"order.id": str(order_id)})
        state = use_cases.commit_reservation(database, order_id)
        return ReservationStateOut(order_id=order_id, state=state)

    @routes.delete("/reservations/<uuid:order_id>")
    @routes.output(ReservationStateOut)
    def release(order_id: UUID) -> ReservationStateOut:
        """Release a reservation, held or committed; without one, block a late request to reserve."""
        context.bind({"order.id": str(order_id)})
        state = use_cases.release_reservation(database, order_id)
        return ReservationStateOut(order_id=order_id, state=state)

    @routes.get("/prices")
    @routes.input(PriceQuery, location="query")
    @routes.output(PriceList)
    @routes.doc(responses=document_errors(CatalogueLoading))
    def list_prices(query_data: PriceQuery) -> PriceList:
        """List the prices and the stock of variants; variants that are not for sale are left out."""
        found = products.read_prices(database, source, query_data.numbers)
        return PriceList(data=[PriceOut.of(variant) for variant in found], currency=currency)

    return routes
