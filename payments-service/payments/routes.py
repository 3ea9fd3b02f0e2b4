"""payments-service over HTTP."""

from uuid import UUID

from apiflask import APIBlueprint

from payments import use_cases
from payments.clients import Provider
from payments.domain import ClosedOrder
from payments.schemas import (
    CanceledOut,
    ClosedOut,
    LedgerEntryOut,
    LedgerPage,
    PaymentOut,
    PaymentPage,
    PaymentRequest,
)
from shared import context
from shared.access import require_customer
from shared.context import require_caller
from shared.database import Database
from shared.pages import PageQuery, decode_id, encode_id


def payment_routes(database: Database) -> APIBlueprint:
    """Return the routes by which people see their payments, and an admin everybody's."""
    routes = APIBlueprint("payments", __name__)

    @routes.get("/payments")
    @routes.input(PageQuery, location="query")
    @routes.output(PaymentPage)
    def list_payments(query_data: PageQuery) -> PaymentPage:
        """List payments, newest first: one's own, and an admin everybody's."""
        page, last = use_cases.list_payments(
            database, customer=_whose(), before=decode_id(query_data.cursor), limit=query_data.limit
        )
        return PaymentPage(data=[PaymentOut.of(payment) for payment in page], next=encode_id(last))

    @routes.get("/payments/<uuid:payment_id>")
    @routes.output(PaymentOut)
    def show_payment(payment_id: UUID) -> PaymentOut:
        """Show one payment; somebody else's is not there."""
        return PaymentOut.of(use_cases.find_payment(database, payment_id, customer=_whose()))

    return routes


def ledger_routes(database: Database) -> APIBlueprint:
    """Return the route by which an admin reads the ledger."""
    routes = APIBlueprint("ledger", __name__)

    @routes.get("/payments/ledger")
    @routes.input(PageQuery, location="query")
    @routes.output(LedgerPage)
    def list_ledger(query_data: PageQuery) -> LedgerPage:
        """List the ledger's entries, newest first; the lines of each sum to zero."""
        page, last = use_cases.list_ledger(
            database, before=decode_id(query_data.cursor), limit=query_data.limit
        )
        return LedgerPage(data=[LedgerEntryOut.of(entry) for entry in page], next=encode_id(last))

    return routes


def internal_routes(database: Database, provider: Provider) -> APIBlueprint:
    """Return the routes by which orders are paid; each may be repeated."""
    routes = APIBlueprint("internal", __name__)

    @routes.put("/internal/payments/<uuid:order_id>")
    @routes.input(PaymentRequest)
    @routes.output(PaymentOut)
    @routes.doc(responses=[402, 409, 502])
    def authorize_payment(order_id: UUID, json_data: PaymentRequest) -> PaymentOut:
        """Hold the money of an order."""
        _name_order(order_id)
        require_customer(json_data.customer)
        return PaymentOut.of(use_cases.authorize_payment(database, provider, order_id, json_data.to_terms()))

    @routes.post("/internal/payments/<uuid:order_id>/capture")
    @routes.output(PaymentOut)
    @routes.doc(responses=[409, 502])
    def capture_payment(order_id: UUID) -> PaymentOut:
        """Take the money that is held for an order."""
        _name_order(order_id)
        return PaymentOut.of(use_cases.capture_payment(database, provider, order_id))

    @routes.post("/internal/payments/<uuid:order_id>/cancel")
    @routes.output(CanceledOut)
    @routes.doc(responses=[409, 502])
    def cancel_payment(order_id: UUID) -> CanceledOut:
        """Give an order's money back, held or taken; an order without a payment will not get one."""
        _name_order(order_id)
        left = use_cases.cancel_payment(database, provider, order_id)
        return CanceledOut(ClosedOut() if isinstance(left, ClosedOrder) else PaymentOut.of(left))

    return routes


def _whose() -> str | None:
    """Return whose payments the caller may see; None stands for everybody's."""
    caller = require_caller()
    return None if caller.role == "admin" else caller.sub


def _name_order(order_id: UUID) -> None:
    context.bind({"order.id": str(order_id)})
