"""Routes by which an admin keeps webhooks, and by which other services report events."""

from uuid import UUID

from apiflask import APIBlueprint

from orders.errors import DeliveryNotFound, WebhookInactive, WebhookNotFound, WebhooksFull
from orders.schemas.webhooks import (
    DeliveryOut,
    DeliveryPage,
    DeliveryQuery,
    EventIn,
    Redelivered,
    RedeliverIn,
    WebhookIn,
    WebhookList,
    WebhookOut,
    WebhookPatch,
    WebhookWithSecret,
)
from orders.use_cases.webhooks import WebhookDesk
from orders.webhook_channel import write_body
from shared.context import require_caller
from shared.openapi import document_errors
from shared.outbox import Message, State
from shared.pages import decode_id, encode_id


def webhook_routes(desk: WebhookDesk) -> APIBlueprint:
    """Return the routes of webhooks."""
    routes = APIBlueprint("webhooks", __name__)

    @routes.get("/webhooks")
    @routes.output(WebhookList)
    def list_webhooks() -> WebhookList:
        """List all webhooks, at most 20, oldest first."""
        return WebhookList(data=[WebhookOut.of(each) for each in desk.list_webhooks()])

    @routes.post("/webhooks")
    @routes.input(WebhookIn)
    @routes.output(WebhookWithSecret, status_code=201)
    @routes.doc(responses=document_errors(WebhooksFull))
    def add_webhook(json_data: WebhookIn) -> tuple[WebhookWithSecret, int, dict[str, str]]:
        """Add a webhook. Only this answer has its secret.

        The URL needs a public address, and https in production, unless the shop has `WEBHOOK_PRIVATE=yes`.
        """
        webhook, secret = desk.add_webhook(require_caller(), json_data.model_dump())
        return (
            WebhookWithSecret.with_secret(webhook, secret),
            201,
            {"Location": f"/webhooks/{webhook.id}"},
        )

    @routes.get("/webhooks/<uuid:webhook_id>")
    @routes.output(WebhookOut)
    @routes.doc(responses=document_errors(WebhookNotFound))
    def show_webhook(webhook_id: UUID) -> WebhookOut:
        """Show a webhook with its state."""
        return WebhookOut.of(desk.show_webhook(webhook_id))

    @routes.patch("/webhooks/<uuid:webhook_id>")
    @routes.input(WebhookPatch)
    @routes.output(WebhookOut)
    @routes.doc(responses=document_errors(WebhookNotFound))
    def change_webhook(webhook_id: UUID, json_data: WebhookPatch) -> WebhookOut:
        """Change a webhook, or switch it on or off.

        While it is off, events are not recorded for it. What waits is sent when it is switched on.
        """
        return WebhookOut.of(desk.change_webhook(webhook_id, json_data.model_dump(exclude_unset=True)))

    @routes.delete("/webhooks/<uuid:webhook_id>")
    @routes.output({}, status_code=204)
    @routes.doc(responses=document_errors(WebhookNotFound))
    def delete_webhook(webhook_id: UUID) -> tuple[str, int]:
        """Delete a webhook with its deliveries."""
        desk.delete_webhook(webhook_id)
        return "", 204

    @routes.post("/webhooks/<uuid:webhook_id>/secret")
    @routes.output(WebhookWithSecret)
    @routes.doc(responses=document_errors(WebhookNotFound))
    def rotate_secret(webhook_id: UUID) -> WebhookWithSecret:
        """Give a webhook a new secret, which only this answer has.

        For 24 hours, messages are also signed with the old secret.
        """
        webhook, secret = desk.rotate_secret(webhook_id)
        return WebhookWithSecret.with_secret(webhook, secret)

    @routes.post("/webhooks/<uuid:webhook_id>/ping")
    @routes.output(DeliveryOut, status_code=202)
    @routes.doc(responses=document_errors(WebhookNotFound, WebhookInactive))
    def ping_webhook(webhook_id: UUID) -> DeliveryOut:
        """Send a test event, `ping`, now."""
        return _show(desk.ping(webhook_id))

    @routes.get("/webhooks/<uuid:webhook_id>/deliveries")
    @routes.input(DeliveryQuery, location="query")
    @routes.output(DeliveryPage)
    @routes.doc(responses=document_errors(WebhookNotFound))
    def list_deliveries(webhook_id: UUID, query_data: DeliveryQuery) -> DeliveryPage:
        """List the deliveries of the last 30 days, newest first."""
        page, last = desk.list_deliveries(
            webhook_id,
            limit=query_data.limit,
            state=State(query_data.state) if query_data.state else None,
            before=decode_id(query_data.cursor),
        )
        return DeliveryPage(data=[_show(each) for each in page], next=encode_id(last))

    @routes.post("/webhooks/<uuid:webhook_id>/deliveries/<uuid:delivery_id>/redeliver")
    @routes.output(DeliveryOut, status_code=202)
    @routes.doc(responses=document_errors(WebhookNotFound, DeliveryNotFound, WebhookInactive))
    def redeliver(webhook_id: UUID, delivery_id: UUID) -> DeliveryOut:
        """Send a delivery again now, with the same webhook-id and body, in any state."""
        return _show(desk.redeliver(webhook_id, delivery_id))

    @routes.post("/webhooks/<uuid:webhook_id>/redeliver")
    @routes.input(RedeliverIn)
    @routes.output(Redelivered, status_code=202)
    @routes.doc(responses=document_errors(WebhookNotFound, WebhookInactive))
    def redeliver_since(webhook_id: UUID, json_data: RedeliverIn) -> Redelivered:
        """Send the deliveries of all events since a time again, with the same webhook-id and body.

        They include those that the receiver accepted, which may have lost them; `state` limits them.
        """
        state = State(json_data.state) if json_data.state else None
        return Redelivered(count=desk.redeliver_since(webhook_id, json_data.since, state))

    return routes


def event_routes(desk: WebhookDesk) -> APIBlueprint:
    """Return the route by which the catalogue reports its events."""
    routes = APIBlueprint("events", __name__)

    @routes.post("/internal/events")
    @routes.input(EventIn)
    @routes.output({}, status_code=204)
    def record_event(json_data: EventIn) -> tuple[str, int]:
        """Record an event for the webhooks that listen to it. A repeated call changes nothing."""
        desk.record_event(json_data.to_event())
        return "", 204

    return routes


def _show(message: Message) -> DeliveryOut:
    return DeliveryOut.of(message, write_body(message))
