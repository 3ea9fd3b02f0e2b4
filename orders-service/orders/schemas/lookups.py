"""Bodies of the routes that find orders of guests."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from orders.domain import LARGEST_ID
from shared.schemas import Body, Email, Integer, Text, example


class LookupIn(Body):
    """The number of an order and the email address that it was placed with."""

    model_config = ConfigDict(json_schema_extra=example({"number": 1001, "email": "ada@example.com"}))

    number: Annotated[Integer, Field(ge=1, le=LARGEST_ID)]
    email: Email


class LookupOut(BaseModel):
    """The address that gets a mail if there is such an order."""

    model_config = ConfigDict(json_schema_extra=example({"email": "ada@example.com"}))

    email: str


class OpenLinkIn(Body):
    """The token of a mailed link."""

    model_config = ConfigDict(
        json_schema_extra=example({"token": "2Jx0cY1d4vQmF8rT5zLw9nKs7bHg3aEu6iPo1tRyV0Q"})
    )

    token: Text = Field(max_length=100)


class Claimed(BaseModel):
    """How many orders were added to the account."""

    model_config = ConfigDict(json_schema_extra=example({"claimed": 2}))

    claimed: int
