"""The channel of the outbox that sends messages to webhooks."""

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import UUID

from orders.clients import WebhookClient
from orders.errors import ReceiverUnreachable
from orders.repository import webhooks
from orders.repository.snapshots import read_event, read_order
from orders.schemas.orders import EventOut, OrderOut
from orders.webhooks import DISABLED, PING, VERSION, Receiver, sign
from shared.courier import Send
from shared.database import Database
from shared.mail import CHANNEL as MAIL
from shared.mail import ENDPOINT as MAIL_SERVER
from shared.outbox import MOST_FAILURES, Attempt, Message, NewMessage, Verdict, insert_message
from shared.outgoing import Answer
from shared.redaction import REDACTED, redact_text

PATIENCE = timedelta(days=3)  # After which a receiver that accepts nothing is switched off.
FEW_FAILURES = 3  # For a status that a repetition hardly changes.
BUSY_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)  # Of a receiver that asks for one.
GONE, TOO_MANY, UNAVAILABLE = 410, 429, 503
# A repetition may change these: request timeout, conflict, too early, too many requests.
TEMPORARY = frozenset({408, 409, 425, TOO_MANY})
LONGEST_ANSWER = 1000  # Characters of an answer that are kept.
SIGNATURE = re.compile(r"\bv1,[A-Za-z0-9+/=]{20,}")
BODY = "body"  # The member of a message's data with its body, once an attempt was made.
SHOWN_OF_EVENT = {"id", "kind", "from_", "to", "time", "detail"}  # Not who caused it.


class WebhookChannel:
    """Signs messages and sends them to their webhooks. `owner` is the email address of the shop."""

    rate: int | None = None
    patience: timedelta | None = PATIENCE
    erases_secrets = False

    def __init__(self, database: Database, client: WebhookClient, owner: str) -> None:
        self._database = database
        self._client = client
        self._owner = owner

    @contextmanager
    def open(self, endpoint: str) -> Iterator[Send]:
        """Return what sends messages to a webhook, each over a connection of its own."""

        def send(message: Message) -> Attempt:
            with self._database.autocommit() as connection:
                receiver = webhooks.find_receiver(connection, endpoint)
                body = message.data.get(BODY) or webhooks.keep_body(
                    connection, message.id, write_body(message)
                )
            if receiver is None or body is None:
                return Attempt(Verdict.REFUSED, {"error": "The webhook was deleted."})
            return self._send(message, receiver, body.encode())

        yield send

    def give_up(self, endpoint: str) -> None:
        """Record a mail that tells the shop's owner that a webhook was switched off."""
        with self._database.transaction() as connection:
            webhook = webhooks.find_webhook(connection, UUID(endpoint))
            if webhook is None:
                return
            since = webhook.failing_since or datetime.now(UTC)
            told = {
                # A query may contain a secret.
                "url": webhook.url.partition("?")[0],
                "error": webhook.error,
                "since": since.isoformat(),
                "waiting": webhook.waiting,
            }
            insert_message(
                connection,
                NewMessage(MAIL, MAIL_SERVER, endpoint, DISABLED, told, recipient=self._owner),
            )

    def _send(self, message: Message, receiver: Receiver, body: bytes) -> Attempt:
        message_id, timestamp = str(message.id), int(time.time())
        headers = {
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(receiver.secrets, message_id, timestamp, body),
            "webhook-attempt": str(message.attempts + 1),
        }
        try:
            answer = self._client.post(receiver.url, body, headers)
        except ReceiverUnreachable as error:
            return Attempt(Verdict.UNREACHABLE, {"error": str(error)})
        return judge(answer, redact_answer(answer.content, receiver))


def write_body(message: Message) -> str:
    """Return the body of a message: what happened, and the whole resource as it was then."""
    if BODY in message.data:
        return str(message.data[BODY])
    return json.dumps(describe(message), separators=(",", ":"))


def describe(message: Message) -> dict[str, Any]:
    """Return the members of a body; an order is as `GET /orders/{id}` answers it."""
    data = message.data
    described: dict[str, Any] = {"type": message.kind, "timestamp": None, "version": VERSION}
    if message.kind == PING:
        return {**described, "timestamp": _to_text(message.created_at), "data": data}
    if "order" not in data:
        moment = datetime.fromisoformat(data["time"])
        return {**described, "timestamp": _to_text(moment), "data": data["data"]}
    event = EventOut.of(read_event(data)).model_dump(mode="json", by_alias=True, include=SHOWN_OF_EVENT)
    order = OrderOut.of(read_order(data)).model_dump(mode="json", by_alias=True)
    return {**described, "timestamp": event["time"], "event": event, "data": order}


def judge(answer: Answer, text: str) -> Attempt:
    """Return the attempt that ended with this answer, whose text is redacted."""
    status = answer.status
    log: dict[str, Any] = {"status": status, "answer": text}
    if 200 <= status < 300:
        return Attempt(Verdict.SENT, log)
    log["error"] = _explain(answer)
    if status == GONE:
        return Attempt(Verdict.REFUSED, log, is_gone=True)
    is_final = 400 <= status < 500 and status not in TEMPORARY
    pause = timedelta()
    if status in {TOO_MANY, UNAVAILABLE}:
        asked = read_retry_after(answer.headers)
        pause = asked if asked is not None else BUSY_PAUSE if status == TOO_MANY else pause
    return Attempt(
        Verdict.FAILED, log, most_failures=FEW_FAILURES if is_final else MOST_FAILURES, pause=pause
    )


def read_retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Return the pause of Retry-After, at most an hour; None if it is absent or malformed.

    It is in seconds or a date (RFC 9110, section 10.2.3).
    """
    value = headers.get("Retry-After", "").strip()
    try:
        if value.isascii() and value.isdigit():
            # A longer number would not fit into a timedelta.
            return min(timedelta(seconds=int(value[:9])), LONGEST_PAUSE)
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    left = moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)
    return min(max(left, timedelta()), LONGEST_PAUSE)


def redact_answer(content: bytes, receiver: Receiver) -> str:
    """Return the beginning of an answer without the secrets and signatures that a receiver may repeat."""
    # A slash, which base64 has, may be escaped in JSON.
    text = content.decode("utf-8", "replace").replace("\0", "\ufffd").replace("\\/", "/")
    for secret in receiver.secrets:
        text = text.replace(secret, REDACTED).replace(secret.partition("_")[2], REDACTED)
    return redact_text(SIGNATURE.sub(REDACTED, text))[:LONGEST_ANSWER]


def _explain(answer: Answer) -> str:
    if 300 <= answer.status < 400:
        target = redact_text(answer.headers.get("Location", "")).partition("?")[0][:300]
        to = f" to {target}" if target else ""
        return f"The receiver redirects ({answer.status}){to}. Redirects are not followed: change the URL."
    if answer.status == GONE:
        return "The receiver answered 410: it wants no more messages."
    return f"The receiver answered {answer.status}."


def _to_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
