"""localstripe as a separate process: `python localstripe_server.py PORT`.

localstripe implements an older version of Stripe's API, so this module renames the parameters that have since
changed. The server listens on localhost only, stores nothing on disk, and sends its events quickly.
"""

import asyncio
import sys
from types import SimpleNamespace

from aiohttp import web
from localstripe import server, webhooks
from localstripe.resources import PaymentIntent, store


def accept_current_names(create):
    """Return PaymentIntent's `create` with the current parameter names."""

    def create_with_old_names(cls, allowed_payment_method_types=None, **data):
        return create.__func__(cls, payment_method_types=allowed_payment_method_types, **data)

    return classmethod(create_with_old_names)


def send_events_soon():
    """Shorten the delay of events from a second to 50 ms."""
    webhooks.asyncio = SimpleNamespace(
        ensure_future=asyncio.ensure_future, sleep=lambda _seconds: asyncio.sleep(0.05)
    )


def main() -> None:
    """Serve until killed."""
    store.dump_to_disk = lambda: None
    PaymentIntent._api_create = accept_current_names(PaymentIntent._api_create)
    send_events_soon()
    web.run_app(server.app, host="127.0.0.1", port=int(sys.argv[1]), print=None)


if __name__ == "__main__":
    main()
