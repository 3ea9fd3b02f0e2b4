"""The routes by which orders-service has its orders paid; each may be repeated."""

from uuid import UUID

from apiflask import APIBlueprint

from payments.clients import Provider
from payments.domain import ClosedOrder
from payments.errors import (
    CaptureFailed,
    CardDeclined,
    PaymentClosed,
    PaymentConflict,
    PaymentMethodUnsupported,
    PaymentNotFound,
    ProviderMismatch,
    ProviderUnavailable,
    RefundConflict,
    RefundExceedsPayment,
    RefundFailed,
    UnexpectedPaymentState,
)
from payments.schemas import (
    EXAMPLE_ID,
    CanceledOut,
    ClosedOut,
    PaymentOut,
    PaymentRequest,
    Reassigned,
    Reassignment,
    RefundOut,
    RefundRequest,
)
from payments.use_cases import checkout, customers
from payments.use_cases.settlement import Settlement
from shared import context
from shared.access import require_customer
from shared.batches import OrderBatch, OrderOutcomes
from shared.database import Database
from shared.openapi import document_errors

DECLINED = UnexpectedPaymentState("requires_payment_method", "requires_capture")
UNCAPTURED = UnexpectedPaymentState("requires_capture", "succeeded")


def internal_routes(database: Database, provider: Provider) -> APIBlueprint:
    """Return the routes, addressed by the order's id."""
    routes = APIBlueprint("internal", __name__, url_prefix="/internal/payments/<uuid:order_id>")

    @routes.get("")
    @routes.output(PaymentOut)
    @routes.doc(responses=document_errors(PaymentNotFound))
    def show_payment_of_order(order_id: UUID) -> PaymentOut:
        """Show the payment of an order."""
        _name_order(order_id)
        return PaymentOut.of(checkout.find_payment_of_order(database, order_id))

    @routes.put("")
    @routes.input(PaymentRequest)
    @routes.output(PaymentOut)
    @routes.doc(
        responses=document_errors(
            CardDeclined(EXAMPLE_ID, "generic_decline"),
            PaymentConflict,
            PaymentClosed,
            PaymentMethodUnsupported,
            ProviderMismatch,
            ProviderUnavailable,
        )
    )
    def authorize_payment(order_id: UUID, json_data: PaymentRequest) -> PaymentOut:
        """Hold the money of an order."""
        _name_order(order_id)
        require_customer(json_data.customer)
        return PaymentOut.of(checkout.authorize_payment(database, provider, order_id, json_data.to_terms()))

    @routes.post("/capture")
    @routes.output(PaymentOut)
    @routes.doc(
        responses=document_errors(
            PaymentNotFound,
            PaymentClosed,
            DECLINED,
            CaptureFailed("authorization_released"),
            ProviderMismatch,
            ProviderUnavailable,
        )
    )
    def capture_payment(order_id: UUID) -> PaymentOut:
        """Take the money that is held for an order."""
        _name_order(order_id)
        return PaymentOut.of(checkout.capture_payment(database, provider, order_id))

    @routes.post("/cancel")
    @routes.output(CanceledOut)
    @routes.doc(responses=document_errors(ProviderMismatch, ProviderUnavailable))
    def cancel_payment(order_id: UUID) -> CanceledOut:
        """Give an order's money back, held or taken; an order without a payment will not get one."""
        _name_order(order_id)
        left = checkout.cancel_payment(database, provider, order_id)
        return CanceledOut(ClosedOut() if isinstance(left, ClosedOrder) else PaymentOut.of(left))

    @routes.post("/refunds")
    @routes.input(RefundRequest)
    @routes.output(RefundOut)
    @routes.doc(
        responses=document_errors(
            PaymentNotFound,
            PaymentClosed,
            UNCAPTURED,
            RefundConflict,
            RefundExceedsPayment(refundable=12980),
            RefundFailed("charge_already_refunded"),
            ProviderMismatch,
            ProviderUnavailable,
        )
    )
    def refund_payment(order_id: UUID, json_data: RefundRequest) -> RefundOut:
        """Give back a part of what was captured, once for a refund's id."""
        _name_order(order_id)
        refunded = checkout.refund_payment(
            database, provider, order_id, json_data.refund_id, json_data.amount
        )
        return RefundOut(
            id=refunded.refund.id,
            amount=refunded.refund.amount,
            payment=PaymentOut.of(refunded.payment),
        )

    return routes


def batch_routes(database: Database, settlement: Settlement) -> APIBlueprint:
    """Return the routes that are about many orders at once."""
    routes = APIBlueprint("batches", __name__, url_prefix="/internal/payments")

    @routes.post("/capture")
    @routes.input(OrderBatch)
    @routes.output(OrderOutcomes)
    def capture_together(json_data: OrderBatch) -> OrderOutcomes:
        """Take the money that is held for several orders; each has an outcome of its own."""
        return OrderOutcomes.of(settlement.capture_payments(json_data.orders))

    @routes.post("/reassign")
    @routes.input(Reassignment)
    @routes.output(Reassigned)
    def reassign_payments(json_data: Reassignment) -> Reassigned:
        """Make the payments of a guest's orders those of the user that the guest has logged in as."""
        require_customer(json_data.customer)
        count = customers.reassign_payments(database, json_data.orders, json_data.customer)
        return Reassigned(payments=count)

    return routes


def _name_order(order_id: UUID) -> None:
    context.bind({"order.id": str(order_id)})
