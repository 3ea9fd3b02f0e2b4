"""Bodies of webhooks and their deliveries."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from orders.webhooks import PATTERNS, TYPES, ForeignEvent, Webhook
from shared.outbox import Message, State
from shared.pages import PageQuery
from shared.redaction import redact_text
from shared.schemas import (
    BLANK_IS_NONE,
    Body,
    Id,
    InternalBody,
    Line,
    Text,
    Time,
    example,
    example_of,
)

LONGEST_BODY = 8000  # Characters of a body that a list of deliveries shows.
LONGEST_URL = 2000
DeliveryState = Literal["waiting", "sent", "dead"]


def _check_events(events: list[str]) -> list[str]:
    if not {*TYPES, *PATTERNS}.issuperset(events):
        raise ValueError(f"must be among {', '.join([*TYPES, *PATTERNS])}")
    return list(dict.fromkeys(events))


WebhookUrl = Annotated[Line, StringConstraints(pattern=r"^https?://[^\s#]+$", max_length=LONGEST_URL)]
Events = Annotated[
    list[Annotated[Line, Field(max_length=50)]],
    Field(min_length=1, max_length=len(TYPES) + len(PATTERNS)),
    AfterValidator(_check_events),
]
Description = Annotated[Annotated[Line, Field(max_length=200)] | None, BLANK_IS_NONE]


class WebhookIn(Body):
    """A webhook: the URL of a program, and the types of events that it receives.

    Types are `order.confirmed`, `order.paid`, `order.shipped`, `order.delivered`, `order.refunded`,
    `order.cancelled`, `stock.low` and `ping`; the patterns `order.*`, `stock.*` and `*` stand for several.
    """

    model_config = ConfigDict(
        json_schema_extra=example(
            {"url": "https://erp.example.com/shop", "events": ["order.*"], "description": "Bookkeeping"}
        )
    )

    url: WebhookUrl
    events: Events
    description: Description = None


class WebhookPatch(Body):
    """Changes to a webhook; members that are left out do not change.

    With `active`, it is switched on, and its failures no longer count, or off.
    """

    model_config = ConfigDict(json_schema_extra=example({"active": True}))

    url: WebhookUrl = Field(default_factory=str)
    events: Events = Field(default_factory=list)
    description: Description = None
    active: bool = True


class WebhookOut(BaseModel):
    """A webhook and its state. It is switched off after three days in which it accepted nothing."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra=example(
            {
                "id": "018f5c41-7a10-7c44-9d21-4b8f6a2e1c09",
                **example_of(WebhookIn),
                "active": True,
                "failing_since": None,
                "error": None,
                "waiting": 0,
                "dead": 0,
                "old_secret_until": None,
                "created_at": "2026-03-01T10:00:00Z",
                "updated_at": "2026-03-01T10:00:00Z",
            }
        ),
    )

    id: UUID
    url: str
    events: list[str]
    description: str | None
    active: bool
    failing_since: datetime | None = Field(description="Since when it has accepted no message.")
    error: str | None = Field(description="Why the last attempt failed.")
    waiting: int = Field(description="Messages that are yet to be sent.")
    dead: int = Field(description="Messages that are no longer sent, unless they are redelivered.")
    old_secret_until: datetime | None = Field(description="Until when the secret before also signs.")
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, webhook: Webhook) -> "WebhookOut":
        """Return the webhook as an admin sees it."""
        return cls.model_validate(webhook)


class WebhookWithSecret(WebhookOut):
    """A webhook with its secret, which is not shown again."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {**example_of(WebhookOut), "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwkVpMPhCMd1Q="}
        )
    )

    secret: str

    @classmethod
    def with_secret(cls, webhook: Webhook, secret: str) -> "WebhookWithSecret":
        """Return the webhook with its new secret."""
        return cls(**WebhookOut.of(webhook).model_dump(), secret=secret)


class WebhookList(BaseModel):
    """All webhooks, oldest first."""

    model_config = ConfigDict(json_schema_extra=example({"data": [example_of(WebhookOut)], "next": None}))

    data: list[WebhookOut]
    next: None = None


class AttemptOut(BaseModel):
    """An attempt to deliver a message; `answer` is the beginning of the answer, without secrets."""

    number: int
    at: datetime
    result: Literal["sent", "failed", "refused", "unreachable"]
    status: int | None
    milliseconds: int | None
    error: str | None
    answer: str | None


class DeliveryOut(BaseModel):
    """A message to a webhook, with its last ten attempts; `id` is its webhook-id."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "id": "018f5c41-5f31-7b20-9c1d-2f4e8a6b7c08",
                "type": "order.paid",
                "about": "018f5c41-5d80-7a2b-8e14-7fbc9d512f04",
                "state": "sent",
                "body": '{"type":"order.paid","timestamp":"2026-03-01T10:00:00.412Z"}',
                "attempt_count": 1,
                "attempts": [
                    {
                        "number": 1,
                        "at": "2026-03-01T10:00:01.020Z",
                        "result": "sent",
                        "status": 204,
                        "milliseconds": 85,
                        "error": None,
                        "answer": "",
                    }
                ],
                "created_at": "2026-03-01T10:00:00.412Z",
                "next_attempt_at": None,
                "finished_at": "2026-03-01T10:00:01.020Z",
            }
        ),
    )

    id: UUID
    type: str
    about: str = Field(
        description="The order or the variant; its messages arrive in the order of its events."
    )
    state: DeliveryState
    body: str = Field(description="The first 8000 characters of the body, without numbers of cards.")
    attempt_count: int
    attempts: list[AttemptOut]
    created_at: datetime
    next_attempt_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, message: Message, body: str) -> "DeliveryOut":
        """Return the delivery as an admin sees it."""
        is_waiting = message.state is State.WAITING
        return cls(
            id=message.id,
            type=message.kind,
            about=message.subject,
            state=message.state.value,
            body=redact_text(body)[:LONGEST_BODY],
            attempt_count=message.attempts,
            attempts=[_to_attempt(entry) for entry in message.log],
            created_at=message.created_at,
            next_attempt_at=message.next_attempt_at if is_waiting else None,
            finished_at=message.finished_at,
        )


class DeliveryPage(BaseModel):
    """Deliveries, newest first."""

    model_config = ConfigDict(json_schema_extra=example({"data": [example_of(DeliveryOut)], "next": None}))

    data: list[DeliveryOut]
    next: str | None


class DeliveryQuery(PageQuery):
    """Filters of the list of deliveries."""

    state: DeliveryState | None = Field(default=None, description="Only deliveries in this state.")


class RedeliverIn(Body):
    """Which deliveries to repeat: those of events since a time, sent or dead, or only those in one state."""

    model_config = ConfigDict(json_schema_extra=example({"since": "2026-03-01T00:00:00Z", "state": "dead"}))

    since: Annotated[Time, Field(strict=False)]
    state: Literal["sent", "dead"] | None = None


class Redelivered(BaseModel):
    """How many deliveries are sent again."""

    model_config = ConfigDict(json_schema_extra=example({"count": 12}))

    count: int


class EventIn(InternalBody):
    """An event of another service, with the resource as it was."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "id": "018f5c41-5f31-7b20-9c1d-2f4e8a6b7c08",
                "type": "stock.low",
                "time": "2026-03-01T10:00:00.412Z",
                "subject": "variant 1",
                "data": {"variant_id": 1, "stock": 2},
            }
        )
    )

    id: Id
    type: Annotated[Text, StringConstraints(pattern=r"^stock\.[a-z_]{1,50}$")]
    time: Annotated[Time, Field(strict=False)]
    subject: Annotated[Text, Field(max_length=200)]
    data: dict[str, JsonValue]

    def to_event(self) -> ForeignEvent:
        """Return the event."""
        return ForeignEvent(self.id, self.type, self.time, self.subject, self.data)


def _to_attempt(entry: Any) -> AttemptOut:
    return AttemptOut(
        number=entry["attempt"],
        at=entry["at"],
        result=entry["result"],
        status=entry.get("status"),
        milliseconds=entry.get("milliseconds"),
        error=entry.get("error"),
        answer=entry.get("answer"),
    )
