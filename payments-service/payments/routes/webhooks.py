"""The route that Stripe sends its events to. Their signature is their proof, so they carry no token."""

from apiflask import APIBlueprint
from flask import Response, request

from payments.clients import EventReader
from payments.errors import BadNotice
from payments.use_cases.sweep import take_notice
from shared.app import reads_body
from shared.background import Background
from shared.database import Database
from shared.errors import NotFound
from shared.openapi import ContentTooLarge, document_errors

LARGEST_EVENT = 256 * 1024  # Bytes; the gateway has the same limit.


def webhook_routes(database: Database, background: Background, events: EventReader | None) -> APIBlueprint:
    """Return the route; without `events` there is nothing there."""
    routes = APIBlueprint("webhooks", __name__)

    @routes.post("/payments/webhooks/stripe")
    @routes.doc(
        responses={
            200: {"description": "It is noted."},
            **document_errors(BadNotice, NotFound, ContentTooLarge),
        }
    )
    @reads_body
    def take_event() -> Response:
        """Hear of something that happened to a payment at Stripe; it is looked up there, and not believed."""
        if events is None:
            raise NotFound
        request.max_content_length = LARGEST_EVENT
        notice = events.read(request.get_data(), request.headers.get("Stripe-Signature", ""))
        if notice.reference and take_notice(database, notice.event_id, reference=notice.reference):
            background.nudge()
        return Response(status=200)

    return routes
