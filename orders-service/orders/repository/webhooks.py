"""Webhooks, and their endpoints and messages in the outbox."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, bindparam, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import Text

from orders.tables import outbox_endpoints, webhooks
from orders.webhooks import (
    CHANNEL,
    OLD_SECRET_KEPT,
    ForeignEvent,
    Receiver,
    Webhook,
    derive_id,
    list_patterns,
)
from shared.ids import first_id

READ = """
    SELECT webhooks.id, url, events, description, webhooks.created_at, webhooks.updated_at,
        is_active AS active, failing_since, error,
        CASE WHEN old_until > now() THEN old_until END AS old_secret_until,
        (SELECT count(*) FROM outbox WHERE endpoint = name AND state = 'waiting') AS waiting,
        (SELECT count(*) FROM outbox WHERE endpoint = name AND state = 'dead' AND channel = 'webhook') AS dead
    FROM webhooks JOIN outbox_endpoints ON name = webhooks.id::text
"""
LIST = text(f"{READ} ORDER BY webhooks.id")
FIND = text(f"{READ} WHERE webhooks.id = :id")
# The endpoint first: its deletion waits for transactions that record messages to it.
DELETIONS = [
    text("DELETE FROM outbox_endpoints WHERE name = :name"),
    text("DELETE FROM outbox WHERE endpoint = :name AND channel = 'webhook'"),
    text("DELETE FROM webhooks WHERE id::text = :name"),
]
ROTATE = text("""
    UPDATE webhooks SET old_secret = secret, old_until = now() + :kept, secret = :secret, updated_at = now()
    WHERE id = :id
""").bindparams(kept=OLD_SECRET_KEPT)
RESUME = text("""
    UPDATE outbox_endpoints
    SET is_active = true, failures = 0, failing_since = NULL, error = NULL, paused_until = now()
    WHERE name = :name
""")
END_PAUSE = text("UPDATE outbox_endpoints SET paused_until = now() WHERE name = :name")
# What waits is due again, as if it had not failed.
REPEAT_WAITING = text("""
    UPDATE outbox SET failures = 0, next_attempt_at = now() WHERE endpoint = :name AND state = 'waiting'
""")
REPEAT_SINCE = text("""
    UPDATE outbox SET state = 'waiting', failures = 0, next_attempt_at = now(), finished_at = NULL
    WHERE endpoint = :name AND channel = 'webhook' AND id >= :oldest AND state = ANY (:states)
""").bindparams(bindparam("states", type_=ARRAY(Text)))
KEEP_BODY = text("""
    UPDATE outbox SET data = jsonb_build_object('body', coalesce(data->>'body', CAST(:body AS text)))
    WHERE id = :id RETURNING data->>'body'
""")
FIND_LISTENERS = text("""
    SELECT webhooks.id FROM webhooks JOIN outbox_endpoints ON name = webhooks.id::text
    WHERE events && :patterns AND is_active
    FOR KEY SHARE OF outbox_endpoints
""").bindparams(bindparam("patterns", type_=ARRAY(Text)))
RECORD_EVENT = text("""
    INSERT INTO outbox (id, channel, endpoint, subject, kind, data)
    VALUES (:id, 'webhook', :endpoint, :subject, :kind, :data) ON CONFLICT (id) DO NOTHING
""").bindparams(bindparam("data", type_=JSONB))


def lock_webhooks(connection: Connection) -> None:
    """Serialize additions until the transaction ends, so that webhooks can be counted."""
    connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("webhooks", 0))))


def list_webhooks(connection: Connection) -> list[Webhook]:
    """Return all webhooks, oldest first."""
    return [_to_webhook(row) for row in connection.execute(LIST)]


def find_webhook(connection: Connection, webhook_id: UUID) -> Webhook | None:
    """Return a webhook, or None."""
    row = connection.execute(FIND, {"id": webhook_id}).first()
    return _to_webhook(row) if row else None


def insert_webhook(connection: Connection, values: Mapping[str, Any]) -> UUID:
    """Add a webhook with its endpoint; return its id."""
    made: UUID = connection.execute(insert(webhooks).values(**values).returning(webhooks.c.id)).scalar_one()
    connection.execute(insert(outbox_endpoints).values(name=str(made), channel=CHANNEL))
    return made


def update_webhook(connection: Connection, webhook_id: UUID, values: Mapping[str, Any]) -> None:
    """Change these columns of a webhook."""
    changed = update(webhooks).where(webhooks.c.id == webhook_id)
    connection.execute(changed.values(**values, updated_at=func.now()))


def rotate_secret(connection: Connection, webhook_id: UUID, secret: str) -> None:
    """Set a new secret; the old one remains valid for a day."""
    connection.execute(ROTATE, {"id": webhook_id, "secret": secret})


def switch_off(connection: Connection, webhook_id: UUID) -> None:
    """Send nothing to a webhook any more, and record no further events for it."""
    endpoint = outbox_endpoints.c.name == str(webhook_id)
    connection.execute(update(outbox_endpoints).where(endpoint).values(is_active=False))


def switch_on(connection: Connection, webhook_id: UUID) -> None:
    """Send to a webhook again, first what waits; its earlier failures no longer count."""
    resume_endpoint(connection, webhook_id)
    connection.execute(REPEAT_WAITING, {"name": str(webhook_id)})


def resume_endpoint(connection: Connection, webhook_id: UUID) -> None:
    """Forget the failures of a webhook's endpoint, and end its pause."""
    connection.execute(RESUME, {"name": str(webhook_id)})


def end_pause(connection: Connection, webhook_id: UUID) -> None:
    """Let a webhook's endpoint receive messages at once."""
    connection.execute(END_PAUSE, {"name": str(webhook_id)})


def delete_webhook(connection: Connection, webhook_id: UUID) -> None:
    """Delete a webhook with its messages."""
    for statement in DELETIONS:
        connection.execute(statement, {"name": str(webhook_id)})


def repeat_messages(connection: Connection, webhook_id: UUID, since: datetime, states: list[str]) -> int:
    """Make the messages in these states, of events since this time, due again; return how many."""
    values = {"name": str(webhook_id), "oldest": first_id(since), "states": states}
    return connection.execute(REPEAT_SINCE, values).rowcount


def find_receiver(connection: Connection, endpoint: str) -> Receiver | None:
    """Return where the messages of an endpoint go, or None if its webhook was deleted."""
    old = (webhooks.c.old_until > func.now()).label("has_old")
    query = select(webhooks.c.url, webhooks.c.secret, webhooks.c.old_secret, old)
    row = connection.execute(query.where(webhooks.c.id == UUID(endpoint))).first()
    if row is None:
        return None
    return Receiver(row.url, (row.secret, row.old_secret) if row.has_old else (row.secret,))


def keep_body(connection: Connection, message_id: UUID, body: str) -> str | None:
    """Store the body of a message in place of its content, unless it has one; return the stored body.

    Returns None if the message was deleted. Replicas of two releases may make different bodies.
    """
    stored: str | None = connection.execute(KEEP_BODY, {"id": message_id, "body": body}).scalar()
    return stored


def record_event(connection: Connection, event: ForeignEvent) -> None:
    """Record a message of an event for each webhook that listens to it, once."""
    listeners = connection.execute(FIND_LISTENERS, {"patterns": list_patterns(event.type)}).scalars().all()
    content = {"id": str(event.id), "type": event.type, "time": event.time.isoformat(), "data": event.data}
    rows = [
        {
            "id": derive_id(event.id, webhook),
            "endpoint": str(webhook),
            "subject": event.subject,
            "kind": event.type,
            "data": content,
        }
        for webhook in listeners
    ]
    if rows:
        connection.execute(RECORD_EVENT, rows)


def _to_webhook(row: Row[Any]) -> Webhook:
    return Webhook(**row._mapping)
