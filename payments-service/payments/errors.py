"""payments-service's refusals.

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
    """A webhook that the provider did not sign, or not lately, or that is no event."""

    status = 400
    code = "bad_notice"
    detail = "This is not an event that the provider signed within the last five minutes."


class CardDeclined(Problem):
    """The bank said no; `decline_code` is its reason, `payment` the id of the payment that stands."""

    status = 402
    code = "card_declined"
    detail = "The card was declined."

    def __init__(self, payment_id: UUID, decline_code: str | None) -> None:
        super().__init__(payment=str(payment_id), decline_code=decline_code)


class PaymentNotFound(NotFound):
    """There is no such payment, or it is somebody else's."""

    code = "payment_not_found"
    detail = "There is no such payment."


class PaymentConflict(Problem):
    """The order has a payment already, and of another kind."""

    status = 409
    code = "payment_conflict"
    detail = "This order has a payment with another customer, amount, currency or payment method."


class PaymentClosed(Problem):
    """The order's payment was canceled, maybe before it was made, and stays so."""

    status = 409
    code = "payment_closed"
    detail = "The payment of this order is closed."


class UnexpectedPaymentState(Problem):
    """The payment cannot go from where it stands to where it is wanted."""

    status = 409
    code = "payment_unexpected_state"

    def __init__(self, status: str, wanted: str) -> None:
        super().__init__(f"The payment is {status} and cannot become {wanted}.")


class CaptureFailed(Problem):
    """The provider will not take the money that it holds, whoever asks and how often."""

    status = 409
    code = "capture_failed"
    detail = "The authorized money cannot be taken."

    def __init__(self, decline_code: str) -> None:
        super().__init__(decline_code=decline_code)


class RefundConflict(Problem):
    """The refund is known, and is of another amount or payment."""

    status = 409
    code = "refund_conflict"
    detail = "This refund was asked for with another amount, or for another payment."


class RefundExceedsPayment(Problem):
    """More is asked back than is left; `refundable` is what is, in minor units."""

    status = 409
    code = "refund_exceeds_payment"
    detail = "More cannot be refunded than was captured."

    def __init__(self, refundable: int) -> None:
        super().__init__(refundable=refundable)


class RefundFailed(Problem):
    """The provider refused a refund for good; nothing moved."""

    status = 409
    code = "refund_failed"
    detail = "The provider cannot make this refund."

    def __init__(self, decline_code: str | None) -> None:
        super().__init__(decline_code=decline_code)
        self.decline_code = decline_code


# The decline code of a payment whose method turned out to be of no use once the provider was asked.
UNSUPPORTED = "payment_method_unsupported"


class PaymentMethodUnsupported(Problem):
    """The provider has no such payment method, or none that can be used here."""

    status = 422
    code = UNSUPPORTED
    detail = "This payment method is not supported."


class ProviderMismatch(Problem):
    """The provider moved another sum than it was asked to; nothing is booked, and a person has to look."""

    status = 502
    code = "provider_mismatch"
    detail = "The payment provider's book and ours do not agree."


class ProviderUnavailable(Unavailable):
    """The provider gave no answer; what it did meanwhile is found out by asking again."""

    code = "provider_unavailable"
    detail = "The payment provider does not answer just now; try again in a moment."
