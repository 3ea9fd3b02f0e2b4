"""Bodies of batch calls between services: each order of a batch succeeds or fails independently."""

from collections.abc import Mapping
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.errors import Problem
from shared.schemas import Id, InternalBody, example

MOST_ORDERS = 100  # Orders in one call.
EXAMPLE_ID = "018f5c41-5d80-7a2b-8e14-7fbc9d512f04"


class Outcome(StrEnum):
    """The outcome of one order of a batch."""

    DONE = "done"
    REFUSED = "refused"  # Permanently: a retry gets the same answer.
    PENDING = "pending"  # The caller should retry.


class OrderBatch(InternalBody):
    """The ids of the orders in a batch."""

    model_config = ConfigDict(json_schema_extra=example({"orders": [EXAMPLE_ID]}))

    orders: list[Id] = Field(min_length=1, max_length=MOST_ORDERS)


class OrderOutcome(BaseModel):
    """The outcome of one order, with the code of the problem if it is not done."""

    order_id: UUID
    outcome: Outcome
    code: str | None


class OrderOutcomes(BaseModel):
    """The outcome of each order of a batch."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {"orders": [{"order_id": EXAMPLE_ID, "outcome": Outcome.DONE, "code": None}]}
        )
    )

    orders: list[OrderOutcome]

    @classmethod
    def of(cls, problems: Mapping[UUID, Problem | None]) -> "OrderOutcomes":
        """Return the outcomes: done without a problem, pending after a 5xx problem, else refused."""
        return cls(orders=[_describe(order_id, problem) for order_id, problem in problems.items()])


def _describe(order_id: UUID, problem: Problem | None) -> OrderOutcome:
    if problem is None:
        return OrderOutcome(order_id=order_id, outcome=Outcome.DONE, code=None)
    outcome = Outcome.PENDING if problem.status >= 500 else Outcome.REFUSED
    return OrderOutcome(order_id=order_id, outcome=outcome, code=problem.code)
