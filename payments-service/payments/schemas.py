"""The request and response bodies of payments-service."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel, Strict, StringConstraints

from payments.domain.ledger import LedgerEntry
from payments.domain.payments import LARGEST_AMOUNT, Outcome, Payment, PaymentStatus, RefundStatus, Terms
from shared.batches import OrderBatch
from shared.schemas import Body, Id, Integer, Text, example, example_of

EXAMPLE_ID = UUID("018f5c41-5e9c-7d3c-9f25-80cdae623a05")  # The payment in examples.
CARD_NUMBER = re.compile(r"[0-9]{12,19}")


def _refuse_card_number(text: str) -> str:
    if CARD_NUMBER.search(text):
        raise ValueError("must be a payment method id, never a card number")
    return text


PaymentMethodId = Annotated[
    str,
    StringConstraints(pattern=r"^pm_[A-Za-z0-9_]+$", max_length=255),
    AfterValidator(_refuse_card_number),
]
Amount = Annotated[Integer, Field(ge=1, le=LARGEST_AMOUNT, description="Minor units.")]


class PaymentRequest(Body):
    """The terms of a payment. A card is named by the provider's id, never by its number."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "customer": "018f5c3e-7a10-7c44-9d21-4b8f6a2e1c01",
                "amount": 12980,
                "currency": "USD",
                "payment_method": "pm_card_visa",
            }
        ),
    )

    customer: Text = Field(max_length=255, description="The `sub` of the order's customer.")
    amount: Amount
    currency: str = Field(pattern=r"^[A-Z]{3}$", description="ISO 4217.")
    payment_method: PaymentMethodId

    def to_terms(self) -> Terms:
        """Return the terms of the domain."""
        return Terms(**self.model_dump())


class RefundRequest(Body):
    """A refund. The caller chooses the id; a retry sends the same one."""

    model_config = ConfigDict(
        json_schema_extra=example({"refund_id": "018f5c52-70a1-7f5e-9b47-a2ef0a845c07", "amount": 500}),
    )

    refund_id: Id
    amount: Amount


class Reassignment(OrderBatch):
    """Orders of a guest whose payments are assigned to the user that the guest has logged in as."""

    model_config = ConfigDict(
        json_schema_extra=example({"orders": [str(EXAMPLE_ID)], "customer": str(EXAMPLE_ID)})
    )

    customer: Text = Field(max_length=255, description="The user's `sub`.")


class Reassigned(BaseModel):
    """The number of reassigned payments."""

    model_config = ConfigDict(json_schema_extra=example({"payments": 1}))

    payments: int


class ConfirmRequest(Body):
    """The customer's answer to the simulated bank; a real bank reports its answer to the provider."""

    model_config = ConfigDict(json_schema_extra=example({"outcome": "approved"}))

    outcome: Annotated[Outcome, Strict(False)] = Outcome.APPROVED


class PaymentOut(BaseModel):
    """A payment. Amounts are in minor units."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra=example(
            {
                "id": str(EXAMPLE_ID),
                "order_id": "018f5c41-5d80-7a2b-8e14-7fbc9d512f04",
                "status": "requires_capture",
                "amount": 12980,
                "amount_captured": 0,
                "amount_refunded": 0,
                "currency": "USD",
                "provider": "simulated",
                "payment_method": "pm_card_visa",
                "next_action": None,
                "created_at": "2026-03-01T10:00:00.284Z",
            }
        ),
    )

    id: UUID
    order_id: UUID
    status: PaymentStatus
    amount: int
    amount_captured: int
    amount_refunded: int
    currency: str
    provider: str
    payment_method: str
    next_action: Mapping[str, Any] | None = Field(
        default=None, description="The customer's next step; only the customer sees it."
    )
    created_at: datetime

    @classmethod
    def of(cls, payment: Payment) -> "PaymentOut":
        """Return the payment for its customer, or for orders-service on the customer's behalf."""
        return cls.model_validate(payment)

    @classmethod
    def seen_by(cls, subjects: Sequence[str], payment: Payment) -> "PaymentOut":
        """Return the payment for a caller; only its customer sees `next_action`."""
        shown = cls.of(payment)
        return shown if payment.customer in subjects else shown.model_copy(update={"next_action": None})


class RefundOut(BaseModel):
    """A successful refund, and the payment after it."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "id": "018f5c52-70a1-7f5e-9b47-a2ef0a845c07",
                "amount": 500,
                "status": "succeeded",
                "payment": example_of(PaymentOut)
                | {"status": "succeeded", "amount_captured": 12980, "amount_refunded": 500},
            }
        )
    )

    id: UUID
    amount: int
    status: Literal[RefundStatus.SUCCEEDED] = RefundStatus.SUCCEEDED
    payment: PaymentOut


class ClosedOut(BaseModel):
    """An order that was closed without a payment, and can never get one."""

    status: Literal["canceled"] = "canceled"


class CanceledOut(RootModel[PaymentOut | ClosedOut]):
    """The canceled payment, or the closed order."""

    model_config = ConfigDict(json_schema_extra=example(example_of(PaymentOut) | {"status": "canceled"}))


class PaymentPage(BaseModel):
    """Payments, newest first, and the cursor of the next page."""

    model_config = ConfigDict(json_schema_extra=example({"data": [example_of(PaymentOut)], "next": None}))

    data: list[PaymentOut]
    next: str | None


class LineOut(BaseModel):
    """One side of an entry, in minor units: a debit is positive, a credit negative."""

    account: str
    amount: int


class LedgerEntryOut(BaseModel):
    """A ledger entry; its lines sum to zero."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "id": "018f5c41-62c4-7a6f-8c58-b3f01b956d08",
                "payment_id": str(EXAMPLE_ID),
                "movement": "capture",
                "time": "2026-03-01T10:00:01.046Z",
                "currency": "USD",
                "lines": [{"account": "receivable", "amount": 12980}, {"account": "sales", "amount": -12980}],
            }
        )
    )

    id: UUID
    payment_id: UUID
    movement: str
    time: datetime
    currency: str
    lines: list[LineOut]

    @classmethod
    def of(cls, entry: LedgerEntry) -> "LedgerEntryOut":
        """Return the response for an entry, with its lines sorted by account."""
        lines = [
            LineOut(account=entry.debit, amount=entry.amount),
            LineOut(account=entry.credit, amount=-entry.amount),
        ]
        return cls(
            id=entry.id,
            payment_id=entry.payment_id,
            movement=entry.movement,
            time=entry.created_at,
            currency=entry.currency,
            lines=sorted(lines, key=lambda line: line.account),
        )


class LedgerPage(BaseModel):
    """Ledger entries, newest first, and the cursor of the next page."""

    model_config = ConfigDict(json_schema_extra=example({"data": [example_of(LedgerEntryOut)], "next": None}))

    data: list[LedgerEntryOut]
    next: str | None
