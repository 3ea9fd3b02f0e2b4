"""The public routes: customers read and confirm payments, clerks read them, admins read the ledger."""

from collections.abc import Callable
from uuid import UUID

from apiflask import APIBlueprint
from flask import Response

from payments.clients import Provider
from payments.errors import (
    CardDeclined,
    PaymentClosed,
    PaymentNotFound,
    ProviderUnavailable,
    UnexpectedPaymentState,
)
from payments.schemas import (
    EXAMPLE_ID,
    ConfirmRequest,
    LedgerEntryOut,
    LedgerPage,
    PaymentOut,
    PaymentPage,
)
from payments.use_cases import customers
from shared.context import bind, require_caller
from shared.database import Database
from shared.idempotency import KEY_ERRORS, KEYED, read_call, to_response
from shared.openapi import document_errors
from shared.pages import PageQuery, decode_id, encode_id


def payment_routes(database: Database, provider: Provider, wake: Callable[[UUID], None]) -> APIBlueprint:
    """Return the routes of payments."""
    routes = APIBlueprint("payments", __name__)

    @routes.get("/payments")
    @routes.input(PageQuery, location="query")
    @routes.output(PaymentPage)
    def list_payments(query_data: PageQuery) -> PaymentPage:
        """List your payments, newest first; a clerk or an admin sees all payments."""
        caller = require_caller()
        page, last = customers.list_payments(
            database, caller, before=decode_id(query_data.cursor), limit=query_data.limit
        )
        shown = [PaymentOut.seen_by(caller.subjects, payment) for payment in page]
        return PaymentPage(data=shown, next=encode_id(last))

    @routes.get("/payments/<uuid:payment_id>")
    @routes.output(PaymentOut)
    @routes.doc(responses=document_errors(PaymentNotFound))
    def show_payment(payment_id: UUID) -> PaymentOut:
        """Return one of your payments; a clerk or an admin sees all payments."""
        caller = require_caller()
        return PaymentOut.seen_by(caller.subjects, customers.find_payment(database, caller, payment_id))

    @routes.post("/payments/<uuid:payment_id>/confirm")
    @routes.input(ConfirmRequest)
    @routes.output(PaymentOut)
    @routes.doc(
        responses=document_errors(
            CardDeclined(EXAMPLE_ID, "authentication_failed"),
            PaymentNotFound,
            PaymentClosed,
            UnexpectedPaymentState("succeeded", "requires_capture"),
            *KEY_ERRORS,
            ProviderUnavailable,
        ),
        extensions=KEYED,
    )
    def confirm_payment(payment_id: UUID, json_data: ConfirmRequest) -> Response:
        """Confirm a payment after you have answered the bank."""
        bind({"payment.id": str(payment_id)})
        call = read_call(f"POST /payments/{payment_id}/confirm")
        confirmed = customers.confirm_payment(
            database, provider, wake, require_caller(), payment_id, json_data.outcome, call
        )
        return to_response(confirmed.answer, is_replayed=confirmed.is_replayed)

    return routes


def ledger_routes(database: Database) -> APIBlueprint:
    """Return the route of the ledger."""
    routes = APIBlueprint("ledger", __name__)

    @routes.get("/payments/ledger")
    @routes.input(PageQuery, location="query")
    @routes.output(LedgerPage)
    def list_ledger(query_data: PageQuery) -> LedgerPage:
        """List ledger entries, newest first; the lines of each entry sum to zero."""
        page, last = customers.list_ledger(
            database, before=decode_id(query_data.cursor), limit=query_data.limit
        )
        return LedgerPage(data=[LedgerEntryOut.of(entry) for entry in page], next=encode_id(last))

    return routes
