"""Webhooks, which an admin keeps, and their deliveries."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from orders.clients import WebhookClient
from orders.errors import DeliveryNotFound, WebhookInactive, WebhookNotFound, WebhooksFull
from orders.repository import webhooks
from orders.webhooks import CHANNEL, MOST_WEBHOOKS, PING, ForeignEvent, Webhook, make_secret
from shared import audit_trail, outbox
from shared.context import Caller
from shared.database import Connection, Database
from shared.errors import ValidationFailed
from shared.outbox import Message, NewMessage, State
from shared.outgoing import origin_of

FINISHED = (State.SENT, State.DEAD)


@dataclass(frozen=True)
class WebhookDesk:
    """What webhooks need: the client of their receivers, and what wakes the courier."""

    database: Database
    client: WebhookClient
    wake_courier: Callable[[], None]

    def list_webhooks(self) -> list[Webhook]:
        """Return all webhooks, oldest first."""
        with self.database.autocommit() as connection:
            return webhooks.list_webhooks(connection)

    def show_webhook(self, webhook_id: UUID) -> Webhook:
        """Return a webhook; raise WebhookNotFound."""
        with self.database.autocommit() as connection:
            return _require(connection, webhook_id)

    def add_webhook(self, caller: Caller, values: Mapping[str, Any]) -> tuple[Webhook, str]:
        """Add a webhook; return it with its secret. Raises WebhooksFull or ValidationFailed."""
        self._check_url(values["url"])
        secret = make_secret()
        with self.database.transaction() as connection:
            webhooks.lock_webhooks(connection)
            if len(webhooks.list_webhooks(connection)) >= MOST_WEBHOOKS:
                raise WebhooksFull
            row = {**values, "secret": secret, "created_by": caller.sub}
            added = _require(connection, webhooks.insert_webhook(connection, row))
        _audit("created", "An admin created a webhook", added)
        return added, secret

    def change_webhook(self, webhook_id: UUID, changes: Mapping[str, Any]) -> Webhook:
        """Change a webhook, or switch it on or off; raise WebhookNotFound or ValidationFailed."""
        if "url" in changes:
            self._check_url(changes["url"])
        columns = {name: value for name, value in changes.items() if name != "active"}
        with self.database.transaction() as connection:
            known = _require(connection, webhook_id)
            webhooks.update_webhook(connection, webhook_id, columns)
            if changes.get("active") is True:
                webhooks.switch_on(connection, webhook_id)
            elif changes.get("active") is False:
                webhooks.switch_off(connection, webhook_id)
            elif changes.get("url", known.url) != known.url:
                # The failures were those of the URL before.
                webhooks.resume_endpoint(connection, webhook_id)
            changed = _require(connection, webhook_id)
        _audit("changed", "An admin changed a webhook", changed, members=sorted(changes))
        self.wake_courier()
        return changed

    def delete_webhook(self, webhook_id: UUID) -> None:
        """Delete a webhook with its deliveries; raise WebhookNotFound."""
        with self.database.transaction() as connection:
            known = _require(connection, webhook_id)
            webhooks.delete_webhook(connection, webhook_id)
        _audit("deleted", "An admin deleted a webhook", known)

    def rotate_secret(self, webhook_id: UUID) -> tuple[Webhook, str]:
        """Give a webhook a new secret; the old one also signs for a day. Raises WebhookNotFound."""
        secret = make_secret()
        with self.database.transaction() as connection:
            _require(connection, webhook_id)
            webhooks.rotate_secret(connection, webhook_id, secret)
            rotated = _require(connection, webhook_id)
        _audit("secret_rotated", "An admin rotated the secret of a webhook", rotated)
        return rotated, secret

    def ping(self, webhook_id: UUID) -> Message:
        """Send a test event at once; raise WebhookNotFound or WebhookInactive."""
        name = str(webhook_id)
        with self.database.transaction() as connection:
            _require_active(connection, webhook_id)
            webhooks.end_pause(connection, webhook_id)
            message = NewMessage(CHANNEL, name, PING, PING, {"webhook_id": name})
            made = _require_delivery(connection, webhook_id, outbox.insert_message(connection, message))
        self.wake_courier()
        return made

    def list_deliveries(
        self, webhook_id: UUID, *, limit: int, state: State | None, before: UUID | None
    ) -> tuple[list[Message], UUID | None]:
        """Return a page of deliveries, newest first, and the position of the next page.

        Raises WebhookNotFound.
        """
        with self.database.autocommit() as connection:
            _require(connection, webhook_id)
            found = outbox.read_messages(
                connection,
                channel=CHANNEL,
                endpoint=str(webhook_id),
                limit=limit + 1,
                state=state,
                before=before,
            )
        page = found[:limit]
        return page, page[-1].id if len(found) > limit else None

    def redeliver(self, webhook_id: UUID, delivery_id: UUID) -> Message:
        """Send a message again at once, with the same id; raise DeliveryNotFound or WebhookInactive."""
        with self.database.transaction() as connection:
            _require_active(connection, webhook_id)
            _require_delivery(connection, webhook_id, delivery_id)
            outbox.send_again(connection, delivery_id, {State.SENT, State.DEAD})
            webhooks.end_pause(connection, webhook_id)
            message = _require_delivery(connection, webhook_id, delivery_id)
        self.wake_courier()
        return message

    def redeliver_since(self, webhook_id: UUID, since: datetime, state: State | None) -> int:
        """Send the finished messages of events since a time again; return how many.

        With `state`, only those that were sent, or that are dead. Raises WebhookNotFound or WebhookInactive.
        """
        with self.database.transaction() as connection:
            _require_active(connection, webhook_id)
            states = [state] if state else list(FINISHED)
            count = webhooks.repeat_messages(connection, webhook_id, since, [str(each) for each in states])
            webhooks.end_pause(connection, webhook_id)
        self.wake_courier()
        return count

    def record_event(self, event: ForeignEvent) -> None:
        """Record an event of another service, once, for the webhooks that listen to it."""
        with self.database.transaction() as connection:
            webhooks.record_event(connection, event)
        self.wake_courier()

    def _check_url(self, url: str) -> None:
        if objection := self.client.find_objection(url):
            raise ValidationFailed([{"location": "json", "field": "url", "detail": objection}])


def _require(connection: Connection, webhook_id: UUID) -> Webhook:
    webhook = webhooks.find_webhook(connection, webhook_id)
    if webhook is None:
        raise WebhookNotFound
    return webhook


def _require_active(connection: Connection, webhook_id: UUID) -> None:
    if not _require(connection, webhook_id).active:
        raise WebhookInactive


def _require_delivery(connection: Connection, webhook_id: UUID, delivery_id: UUID) -> Message:
    message = outbox.find_message(connection, delivery_id)
    if message is None or message.channel != CHANNEL or message.endpoint != str(webhook_id):
        raise DeliveryNotFound
    return message


def _audit(action: str, sentence: str, webhook: Webhook, members: list[str] | None = None) -> None:
    host, port = origin_of(webhook.url)
    audit_trail.record(
        f"orders.webhook.{action}", sentence, target=str(webhook.id), host=f"{host}:{port}", members=members
    )
