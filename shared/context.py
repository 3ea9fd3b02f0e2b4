"""The context of the current work: its request id, trace and caller.

It is kept in a context variable, so that log records and outgoing calls find it during a request and in
background work.
"""

import re
import secrets
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

from shared.errors import TokenMissing

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
INTEGRATOR_PREFIX = "app-"  # Of the client ids that an admin creates; no service's client id has it.
NOT_SAMPLED = "00"
TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


def _new_trace_id() -> str:
    return secrets.token_hex(16)


def _new_span_id() -> str:
    return secrets.token_hex(8)


@dataclass(frozen=True)
class Trace:
    """A position in a distributed trace (W3C Trace Context), with this service's own span id."""

    trace_id: str = field(default_factory=_new_trace_id)
    span_id: str = field(default_factory=_new_span_id)
    flags: str = "01"
    parent_id: str | None = None  # The caller's span.

    @property
    def traceparent(self) -> str:
        """Return the header for outgoing calls."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"

    @property
    def is_sampled(self) -> bool:
        """Return whether the origin of the trace wants it to be recorded (section 3.2.2.5)."""
        return bool(int(self.flags, 16) & 1)

    def begin_child(self) -> "Trace":
        """Return a child position."""
        return Trace(trace_id=self.trace_id, flags=self.flags, parent_id=self.span_id)


@dataclass(frozen=True)
class Caller:
    """The caller, as stated by a verified token. `client_id` names the program, `role` its permissions."""

    sub: str
    role: str
    client_id: str
    scope: str
    session: str | None
    expires_at: int
    token: str = field(repr=False)
    # The guest session before the log-in; the user takes over its cart and orders.
    guest_sub: str | None = None
    token_id: str = ""

    @property
    def guest(self) -> str | None:
        """Return the guest session before the log-in, unless the guest registered and kept its id."""
        return None if self.guest_sub == self.sub else self.guest_sub

    @property
    def subjects(self) -> tuple[str, ...]:
        """Return the subjects whose data this caller owns: its own, and that of its guest session."""
        return (self.sub,) if self.guest is None else (self.sub, self.guest)

    @property
    def is_integrator(self) -> bool:
        """Return whether the client is a third-party client (integrator), not a service of the shop."""
        return self.client_id.startswith(INTEGRATOR_PREFIX)


@dataclass(frozen=True)
class Context:
    """The context; `caller` is None until a token has been verified."""

    request_id: str = field(default_factory=_new_trace_id)
    trace: Trace = field(default_factory=Trace)
    caller: Caller | None = None
    # The subject of the token that a calling service forwarded.
    customer: str | None = None
    attributes: Mapping[str, str | int] = field(default_factory=dict)


_context: ContextVar[Context | None] = ContextVar("context", default=None)


def current() -> Context | None:
    """Return the current context, or None if there is none."""
    return _context.get()


def enter(context: Context) -> None:
    """Make `context` the current context of this thread."""
    _context.set(context)


def bind(attributes: Mapping[str, str | int]) -> None:
    """Add attributes to every later record of the current context, including its access record.

    The access record reports what a request did, so no separate record is needed. Without a current context
    this does nothing.
    """
    work = current()
    if work is not None:
        enter(replace(work, attributes={**work.attributes, **attributes}))


def bind_customer(customer: str) -> None:
    """Remember the subject of the token that a calling service forwarded."""
    enter(replace(current() or Context(), customer=customer))


def leave() -> None:
    """Clear the current context, so that a pooled thread does not leak it into its next request."""
    _context.set(None)


def continue_from(request_id: str | None, traceparent: str | None) -> Context:
    """Continue the caller's request id and trace if they are well-formed, else start new ones."""
    known = request_id if request_id and REQUEST_ID.fullmatch(request_id) else _new_trace_id()
    return Context(request_id=known, trace=_continue_trace(traceparent))


def _continue_trace(traceparent: str | None) -> Trace:
    found = TRACEPARENT.fullmatch(traceparent or "")
    if not found:
        return Trace()
    version, trace_id, parent_id, flags, more = found.groups()
    # Version 00 has four fields, later versions may have more, and ff is invalid (section 3.2).
    if version == "ff" or (version == "00" and more) or set(trace_id) == {"0"} or set(parent_id) == {"0"}:
        return Trace()
    return Trace(trace_id=trace_id, flags=flags, parent_id=parent_id)


def require_caller() -> Caller:
    """Return the verified caller; raise TokenMissing if there is none."""
    work = current()
    if work is None or work.caller is None:
        raise TokenMissing
    return work.caller
