"""What payments-service takes and gives."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, RootModel

from payments.domain import LARGEST_AMOUNT, LedgerEntry, Payment, PaymentStatus, Terms
from shared.schemas import Text


class PaymentRequest(BaseModel):
    """What an order asks to be paid. Cards are named by the provider's ids, and never by their numbers."""

    model_config = ConfigDict(extra="forbid")

    customer: Text = Field(max_length=255, description="The `sub` of the order's owner.")
    amount: int = Field(strict=True, ge=1, le=LARGEST_AMOUNT, description="Minor units.")
    currency: str = Field(pattern=r"^[A-Z]{3}$", description="ISO 4217.")
    payment_method: str = Field(pattern=r"^pm_[A-Za-z0-9_]+$", max_length=255)

    def to_terms(self) -> Terms:
        """Return it in the domain's words."""
        return Terms(**self.model_dump())


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
    next_action: dict[str, Any] | None = Field(default=None, description="What the customer has to do.")
    created_at: datetime

    @classmethod
    def of(cls, payment: Payment) -> "PaymentOut":
        """Return the payment as callers see it."""
        return cls.model_validate(payment)


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
