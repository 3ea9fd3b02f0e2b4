"""Calls about many orders at once: each order has an outcome of its own, and none holds another up."""

from collections.abc import Mapping
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.errors import Problem
from shared.schemas import Id, InternalBody, example

MOST_ORDERS = 100  # Of one call.
EXAMPLE_ID = "018f5c41-5d80-7a2b-8e14-7fbc9d512f04"


class Outcome(StrEnum):
    """What became of one order of a batch."""

    DONE = "done"
    REFUSED = "refused"  # Asked again, the answer is the same.
    PENDING = "pending"  # To be asked again.


class OrderBatch(InternalBody):
    """The orders that something is asked for, each by its id."""

    model_config = ConfigDict(json_schema_extra=example({"orders": [EXAMPLE_ID]}))

    orders: list[Id] = Field(min_length=1, max_length=MOST_ORDERS)


class OrderOutcome(BaseModel):
    """What became of one order, and the code of the problem if it is not done."""

    order_id: UUID
    outcome: Outcome
    code: str | None


class OrderOutcomes(BaseModel):
    """What became of each order of a batch."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {"orders": [{"order_id": EXAMPLE_ID, "outcome": Outcome.DONE, "code": None}]}
        )
    )

    orders: list[OrderOutcome]

    @classmethod
    def of(cls, problems: Mapping[UUID, Problem | None]) -> "OrderOutcomes":
        """Return the outcomes of orders by their problems: none, one of theirs, or one of ours (5xx)."""
        return cls(orders=[_describe(order_id, problem) for order_id, problem in problems.items()])


def _describe(order_id: UUID, problem: Problem | None) -> OrderOutcome:
    if problem is None:
        return OrderOutcome(order_id=order_id, outcome=Outcome.DONE, code=None)
    outcome = Outcome.PENDING if problem.status >= 500 else Outcome.REFUSED
    return OrderOutcome(order_id=order_id, outcome=outcome, code=problem.code)
