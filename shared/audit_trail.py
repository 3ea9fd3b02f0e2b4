"""The audit trail: a log record of each security-relevant action."""

import logging

from shared import context

log = logging.getLogger("shopfleet.audit")


def record(
    event: str,
    sentence: str,
    *,
    actor: str | None = None,
    target: str | None = None,
    level: int = logging.INFO,
    **more: object,
) -> None:
    """Record that `actor`, by default the caller of the current request, did something to `target`.

    `more` are attributes of the event, such as `old` and `new`. Never pass a password, a token or a secret,
    nor a user name as typed: people type passwords into that field.
    """
    work = context.current()
    caller = work.caller if work else None
    attributes = {f"audit.{name}": value for name, value in more.items()}
    attributes |= {
        "event.name": event,
        "user.id": actor or (caller.sub if caller else None),
        "audit.target": target,
    }
    log.log(level, sentence, extra={name: value for name, value in attributes.items() if value is not None})
