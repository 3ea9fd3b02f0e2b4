"""What belongs to the work at hand: its request id, its trace, its caller.

Kept in context variables, so that log lines and onward calls find them in a request and in background
work alike.
"""

import re
import secrets
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

from shared.errors import TokenMissing

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
INTEGRATOR_PREFIX = "app-"  # Of the client ids that an admin makes; no service of ours is called so.
NOT_SAMPLED = "00"
TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


def _new_trace_id() -> str:
    return secrets.token_hex(16)


def _new_span_id() -> str:
    return secrets.token_hex(8)


@dataclass(frozen=True)
class Trace:
    """A place in a distributed trace (W3C Trace Context); the span id is this service's own."""

    trace_id: str = field(default_factory=_new_trace_id)
    span_id: str = field(default_factory=_new_span_id)
    flags: str = "01"
    parent_id: str | None = None  # The caller's span.

    @property
    def traceparent(self) -> str:
        """Return the header that an onward call carries."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"

    @property
    def is_sampled(self) -> bool:
        """Tell whether whoever began the trace wants it to be recorded (section 3.2.2.5)."""
        return bool(int(self.flags, 16) & 1)

    def begin_child(self) -> "Trace":
        """Return a place below this one."""
        return Trace(trace_id=self.trace_id, flags=self.flags, parent_id=self.span_id)


@dataclass(frozen=True)
class Caller:
    """Who calls, as a verified token says. `client_id` names the program, `role` what it may do."""

    sub: str
    role: str
    client_id: str
    scope: str
    session: str | None
    expires_at: int
    token: str = field(repr=False)
    # The guest that this person was before logging in, whose cart and orders become theirs.
    guest_sub: str | None = None
    token_id: str = ""

    @property
    def guest(self) -> str | None:
        """Return the guest that this person was, unless the guest has become this very user."""
        return None if self.guest_sub == self.sub else self.guest_sub

    @property
    def subjects(self) -> tuple[str, ...]:
        """Return whose things are this caller's: its own, and those of the guest that it was."""
        return (self.sub,) if self.guest is None else (self.sub, self.guest)

    @property
    def is_integrator(self) -> bool:
        """Tell whether it is somebody else's program, with a client of its own, and no service of ours."""
        return self.client_id.startswith(INTEGRATOR_PREFIX)


@dataclass(frozen=True)
class Context:
    """All of it together; `caller` is None until a token has been verified."""

    request_id: str = field(default_factory=_new_trace_id)
    trace: Trace = field(default_factory=Trace)
    caller: Caller | None = None
    # Whose token a service of ours forwarded.
    customer: str | None = None
    attributes: Mapping[str, str | int] = field(default_factory=dict)


_context: ContextVar[Context | None] = ContextVar("context", default=None)


def current() -> Context | None:
    """Return the context of the work at hand, or None outside of any."""
    return _context.get()


def enter(context: Context) -> None:
    """Make `context` the current one of this thread."""
    _context.set(context)


def bind(attributes: Mapping[str, str | int]) -> None:
    """Add attributes to every later record of the work at hand, its access record among them.

    What a request has done is told there, and not by records of its own. Outside of any work nothing is
    bound.
    """
    work = current()
    if work is not None:
        enter(replace(work, attributes={**work.attributes, **attributes}))


def bind_customer(customer: str) -> None:
    """Remember whose token came along with a service's own."""
    enter(replace(current() or Context(), customer=customer))


def leave() -> None:
    """Forget the current context, so that a pooled thread does not carry it into its next request."""
    _context.set(None)


def continue_from(request_id: str | None, traceparent: str | None) -> Context:
    """Continue the caller's request id and trace where they are well-formed, else begin new ones."""
    known = request_id if request_id and REQUEST_ID.fullmatch(request_id) else _new_trace_id()
    return Context(request_id=known, trace=_continue_trace(traceparent))


def _continue_trace(traceparent: str | None) -> Trace:
    found = TRACEPARENT.fullmatch(traceparent or "")
    if not found:
        return Trace()
    version, trace_id, parent_id, flags, more = found.groups()
    # Version 00 has four fields, a later one may have more, and ff is none (section 3.2).
    if version == "ff" or (version == "00" and more) or set(trace_id) == {"0"} or set(parent_id) == {"0"}:
        return Trace()
    return Trace(trace_id=trace_id, flags=flags, parent_id=parent_id)


def require_caller() -> Caller:
    """Return the verified caller of a route that asks for one; raise TokenMissing if there is none."""
    work = current()
    if work is None or work.caller is None:
        raise TokenMissing
    return work.caller
