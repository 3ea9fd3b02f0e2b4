"""What payments-service takes and gives."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel, StringConstraints

from payments.domain import LARGEST_AMOUNT, LedgerEntry, Outcome, Payment, PaymentStatus, RefundStatus, Terms
from shared.schemas import Text

CARD_NUMBER = re.compile(r"[0-9]{12,19}")


def _refuse_card_number(text: str) -> str:
    if CARD_NUMBER.search(text):
        raise ValueError("must be the id of a payment method, and never a card number")
    return text


PaymentMethodId = Annotated[
    str,
    StringConstraints(pattern=r"^pm_[A-Za-z0-9_]+$", max_length=255),
    AfterValidator(_refuse_card_number),
]
Amount = Annotated[int, Field(strict=True, ge=1, le=LARGEST_AMOUNT, description="Minor units.")]


class PaymentRequest(BaseModel):
    """What an order asks to be paid. Cards are named by the provider's ids, and never by their numbers."""

    model_config = ConfigDict(extra="forbid")

    customer: Text = Field(max_length=255, description="The `sub` of the order's owner.")
    amount: Amount
    currency: str = Field(pattern=r"^[A-Z]{3}$", description="ISO 4217.")
    payment_method: PaymentMethodId

    def to_terms(self) -> Terms:
        """Return it in the domain's words."""
        return Terms(**self.model_dump())


class RefundRequest(BaseModel):
    """What goes back. The id is the caller's own, and stands for one refund however often it is sent."""

    model_config = ConfigDict(extra="forbid")

    refund_id: UUID
    amount: Amount


class ConfirmRequest(BaseModel):
    """What the customer told the simulated bank; a real one asks by itself, and is only listened to."""

    model_config = ConfigDict(extra="forbid")

    outcome: Outcome = Outcome.APPROVED


class PaymentOut(BaseModel):
    """A payment. Amounts are in minor units."""

    model_config = ConfigDict(from_attributes=True)

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
        default=None, description="What the customer has to do; shown to nobody else."
    )
    created_at: datetime

    @classmethod
    def of(cls, payment: Payment) -> "PaymentOut":
        """Return the payment as its customer sees it, and orders-service in the customer's place."""
        return cls.model_validate(payment)

    @classmethod
    def seen_by(cls, sub: str, payment: Payment) -> "PaymentOut":
        """Return the payment as that person may see it."""
        shown = cls.of(payment)
        return shown if payment.customer == sub else shown.model_copy(update={"next_action": None})


class RefundOut(BaseModel):
    """A refund, and the payment after it."""

    id: UUID
    amount: int
    status: Literal[RefundStatus.SUCCEEDED] = RefundStatus.SUCCEEDED
    payment: PaymentOut


class ClosedOut(BaseModel):
    """An order that had no payment, and will have none."""

    status: Literal["canceled"] = "canceled"


class CanceledOut(RootModel[PaymentOut | ClosedOut]):
    """What is left after a cancel."""


class PaymentPage(BaseModel):
    """Payments, newest first, and the cursor of the page after."""

    data: list[PaymentOut]
    next: str | None


class LineOut(BaseModel):
    """One side of an entry, in minor units: a debit is positive, a credit negative."""

    account: str
    amount: int


class LedgerEntryOut(BaseModel):
    """A double entry: its lines sum to zero."""

    id: UUID
    payment_id: UUID
    movement: str
    time: datetime
    currency: str
    lines: list[LineOut]

    @classmethod
    def of(cls, entry: LedgerEntry) -> "LedgerEntryOut":
        """Return the entry as callers see it."""
        lines = [LineOut(**vars(line)) for line in entry.lines]
        return cls(**{**vars(entry), "time": entry.created_at, "lines": lines})


class LedgerPage(BaseModel):
    """Entries, newest first, and the cursor of the page after."""

    data: list[LedgerEntryOut]
    next: str | None
