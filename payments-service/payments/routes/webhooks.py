"""The webhook for Stripe's events. Their signature authenticates them, so they carry no token."""

from apiflask import APIBlueprint
from flask import Response, request

from payments.clients import EventReader
from payments.errors import BadNotice
from payments.use_cases.sweep import handle_event
from shared.app import reads_body
from shared.background import Background
from shared.database import Database
from shared.errors import NotFound
from shared.openapi import ContentTooLarge, document_errors

LARGEST_EVENT = 256 * 1024  # Bytes; the gateway has the same limit.


def webhook_routes(database: Database, background: Background, events: EventReader | None) -> APIBlueprint:
    """Return the webhook; without `events` it answers 404."""
    routes = APIBlueprint("webhooks", __name__)

    @routes.post("/payments/webhooks/stripe")
    @routes.doc(
        responses={
            200: {"description": "The event was received."},
            **document_errors(BadNotice, NotFound, ContentTooLarge),
        }
    )
    @reads_body
    def take_event() -> Response:
        """Receive an event from Stripe; the service then reads the payment itself from Stripe."""
        if events is None:
            raise NotFound
        request.max_content_length = LARGEST_EVENT
        notice = events.read(request.get_data(), request.headers.get("Stripe-Signature", ""))
        if notice.reference and handle_event(database, notice.event_id, reference=notice.reference):
            background.nudge()
        return Response(status=200)

    return routes
