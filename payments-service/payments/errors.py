"""The errors of payments-service.

Problem
├── BadNotice                   400  bad_notice
├── CardDeclined                402  card_declined
├── PaymentNotFound             404  payment_not_found           (NotFound)
├── PaymentConflict             409  payment_conflict
├── PaymentClosed               409  payment_closed
├── UnexpectedPaymentState      409  payment_unexpected_state
├── CaptureFailed               409  capture_failed
├── RefundConflict              409  refund_conflict
├── RefundExceedsPayment        409  refund_exceeds_payment
├── RefundFailed                409  refund_failed
├── PaymentMethodUnsupported    422  payment_method_unsupported
├── ProviderMismatch            502  provider_mismatch
└── ProviderUnavailable         503  provider_unavailable        (Unavailable)
"""

from uuid import UUID

from shared.errors import NotFound, Problem, Unavailable


class BadNotice(Problem):
    """A webhook request without a valid and recent signature, or without a valid event."""

    status = 400
    code = "bad_notice"
    detail = "The request is not an event that the provider signed within the last five minutes."


class CardDeclined(Problem):
    """The bank declined; `decline_code` is its reason, `payment` the id of the payment."""

    status = 402
    code = "card_declined"
    detail = "The card was declined."

    def __init__(self, payment_id: UUID, decline_code: str | None) -> None:
        super().__init__(payment=str(payment_id), decline_code=decline_code)


class PaymentNotFound(NotFound):
    """The payment does not exist, or belongs to a different customer."""

    code = "payment_not_found"
    detail = "The payment does not exist."


class PaymentConflict(Problem):
    """The order already has a payment with different terms."""

    status = 409
    code = "payment_conflict"
    detail = "This order already has a payment with a different customer, amount, currency or payment method."


class PaymentClosed(Problem):
    """The payment of the order is canceled, or the order was closed before its payment began."""

    status = 409
    code = "payment_closed"
    detail = "The payment of this order is closed."


class UnexpectedPaymentState(Problem):
    """The payment cannot change from its status to the requested one."""

    status = 409
    code = "payment_unexpected_state"

    def __init__(self, status: str, wanted: str) -> None:
        super().__init__(f"The payment is {status} and cannot become {wanted}.")


class CaptureFailed(Problem):
    """The provider permanently refuses to capture the held money."""

    status = 409
    code = "capture_failed"
    detail = "The authorized money cannot be captured."

    def __init__(self, decline_code: str) -> None:
        super().__init__(decline_code=decline_code)


class RefundConflict(Problem):
    """The refund id exists with a different amount or payment."""

    status = 409
    code = "refund_conflict"
    detail = "This refund id was used with a different amount or payment."


class RefundExceedsPayment(Problem):
    """The refund exceeds the refundable amount, which is `refundable` in minor units."""

    status = 409
    code = "refund_exceeds_payment"
    detail = "The refund exceeds the amount that can still be refunded."

    def __init__(self, refundable: int) -> None:
        super().__init__(refundable=refundable)


class RefundFailed(Problem):
    """The provider permanently refused the refund; no money moved."""

    status = 409
    code = "refund_failed"
    detail = "The provider cannot make this refund."

    def __init__(self, decline_code: str | None) -> None:
        super().__init__(decline_code=decline_code)
        self.decline_code = decline_code


# The decline code of a payment whose method the provider refused during the authorization.
UNSUPPORTED = "payment_method_unsupported"


class PaymentMethodUnsupported(Problem):
    """The payment method does not exist at the provider, or cannot be used here."""

    status = 422
    code = UNSUPPORTED
    detail = "This payment method is not supported."


class ProviderMismatch(Problem):
    """The provider moved a different amount than requested; nothing was recorded.

    An operator has to resolve it.
    """

    status = 502
    code = "provider_mismatch"
    detail = "The payment provider reports a different amount than requested."


class ProviderUnavailable(Unavailable):
    """The provider did not respond, and may have performed the request; a retry shows the result."""

    code = "provider_unavailable"
    detail = "The payment provider is not responding; try again in a moment."
