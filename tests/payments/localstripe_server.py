"""localstripe, as a process of its own: `python localstripe_server.py PORT`.

It speaks an older version of Stripe's API, so what has another name since is given the old one. It is kept to
this machine and to memory, and sends its events soon.
"""

import asyncio
import sys
from types import SimpleNamespace

from aiohttp import web
from localstripe import server, webhooks
from localstripe.resources import PaymentIntent, store


def accept_new_names(create):
    """Return a PaymentIntent's `create` that takes today's parameters."""

    def create_from_today(cls, allowed_payment_method_types=None, **data):
        return create.__func__(cls, payment_method_types=allowed_payment_method_types, **data)

    return classmethod(create_from_today)


def send_events_soon():
    """Wait a moment before an event is sent, and not a second."""
    webhooks.asyncio = SimpleNamespace(
        ensure_future=asyncio.ensure_future, sleep=lambda _seconds: asyncio.sleep(0.05)
    )


def main() -> None:
    """Serve until killed."""
    store.dump_to_disk = lambda: None
    PaymentIntent._api_create = accept_new_names(PaymentIntent._api_create)
    send_events_soon()
    web.run_app(server.app, host="127.0.0.1", port=int(sys.argv[1]), print=None)


if __name__ == "__main__":
    main()
