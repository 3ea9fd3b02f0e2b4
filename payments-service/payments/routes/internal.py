"""The internal routes for orders-service. Every route is idempotent."""

from uuid import UUID

from apiflask import APIBlueprint

from payments.clients import Provider
from payments.domain.payments import ClosedOrder
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
from payments.use_cases import customers, order_payments
from payments.use_cases.batch_captures import BatchCaptures
from shared import context
from shared.access import require_customer
from shared.batches import OrderBatch, OrderOutcomes
from shared.database import Database
from shared.openapi import document_errors

NOT_AUTHORIZED = UnexpectedPaymentState("requires_payment_method", "requires_capture")
NOT_CAPTURED = UnexpectedPaymentState("requires_capture", "succeeded")


def internal_routes(database: Database, provider: Provider) -> APIBlueprint:
    """Return the routes for one order."""
    routes = APIBlueprint("internal", __name__, url_prefix="/internal/payments/<uuid:order_id>")

    @routes.get("")
    @routes.output(PaymentOut)
    @routes.doc(responses=document_errors(PaymentNotFound))
    def show_payment_of_order(order_id: UUID) -> PaymentOut:
        """Return the payment of an order."""
        _bind_order(order_id)
        return PaymentOut.of(order_payments.find_payment_of_order(database, order_id))

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
        """Authorize the payment of an order."""
        _bind_order(order_id)
        require_customer(json_data.customer)
        return PaymentOut.of(
            order_payments.authorize_payment(database, provider, order_id, json_data.to_terms())
        )

    @routes.post("/capture")
    @routes.output(PaymentOut)
    @routes.doc(
        responses=document_errors(
            PaymentNotFound,
            PaymentClosed,
            NOT_AUTHORIZED,
            CaptureFailed("authorization_released"),
            ProviderMismatch,
            ProviderUnavailable,
        )
    )
    def capture_payment(order_id: UUID) -> PaymentOut:
        """Capture the payment of an order."""
        _bind_order(order_id)
        return PaymentOut.of(order_payments.capture_payment(database, provider, order_id))

    @routes.post("/cancel")
    @routes.output(CanceledOut)
    @routes.doc(responses=document_errors(ProviderMismatch, ProviderUnavailable))
    def cancel_payment(order_id: UUID) -> CanceledOut:
        """Return the held or captured money of an order; an order without a payment can never get one."""
        _bind_order(order_id)
        result = order_payments.cancel_payment(database, provider, order_id)
        return CanceledOut(ClosedOut() if isinstance(result, ClosedOrder) else PaymentOut.of(result))

    @routes.post("/refunds")
    @routes.input(RefundRequest)
    @routes.output(RefundOut)
    @routes.doc(
        responses=document_errors(
            PaymentNotFound,
            PaymentClosed,
            NOT_CAPTURED,
            RefundConflict,
            RefundExceedsPayment(refundable=12980),
            RefundFailed("charge_already_refunded"),
            ProviderMismatch,
            ProviderUnavailable,
        )
    )
    def refund_payment(order_id: UUID, json_data: RefundRequest) -> RefundOut:
        """Refund part of the captured money, once per refund id."""
        _bind_order(order_id)
        refunded = order_payments.refund_payment(
            database, provider, order_id, json_data.refund_id, json_data.amount
        )
        return RefundOut(
            id=refunded.refund.id,
            amount=refunded.refund.amount,
            payment=PaymentOut.of(refunded.payment),
        )

    return routes


def batch_routes(database: Database, batch_captures: BatchCaptures) -> APIBlueprint:
    """Return the routes for many orders."""
    routes = APIBlueprint("batches", __name__, url_prefix="/internal/payments")

    @routes.post("/capture")
    @routes.input(OrderBatch)
    @routes.output(OrderOutcomes)
    def capture_payments(json_data: OrderBatch) -> OrderOutcomes:
        """Capture the payments of several orders; each order has its own outcome."""
        return OrderOutcomes.of(batch_captures.capture_payments(json_data.orders))

    @routes.post("/reassign")
    @routes.input(Reassignment)
    @routes.output(Reassigned)
    def reassign_payments(json_data: Reassignment) -> Reassigned:
        """Assign the payments of a guest's orders to the user that the guest has logged in as."""
        require_customer(json_data.customer)
        count = customers.reassign_payments(database, json_data.orders, json_data.customer)
        return Reassigned(payments=count)

    return routes


def _bind_order(order_id: UUID) -> None:
    context.bind({"order.id": str(order_id)})
