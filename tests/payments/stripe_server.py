"""A fake of Stripe's API that fails on request.

It has what localstripe lacks: idempotency keys that replay a response, even a 500; only the parameters of the
current API; declined and unknown cards by name; events; and every kind of missing response.
"""

import json
import re
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import stripe

SECRET_KEY = "sk_test_fake"
WEBHOOK_SECRET = "whsec_fake"

DECLINES = {
    "pm_card_chargeDeclined": "generic_decline",
    "pm_card_chargeDeclinedInsufficientFunds": "insufficient_funds",
}
CARDS = {"pm_card_visa", "pm_card_authenticationRequired", "pm_card_captureRefused", *DECLINES}

CREATE = {
    "amount",
    "currency",
    "payment_method",
    "allowed_payment_method_types[0]",
    "capture_method",
    "metadata[payment_id]",
    "metadata[order_id]",
}
REFUND = {
    "payment_intent",
    "amount",
    "metadata[payment_id]",
    "metadata[order_id]",
    "metadata[refund_id]",
}


class Refused(Exception):
    """An error response of Stripe."""

    def __init__(self, status: int, **error: Any) -> None:
        self.status = status
        self.body = {
            "error": {"type": "invalid_request_error", "message": "The request is invalid.", **error}
        }
        super().__init__(status)


class StripeServer:
    """The server, its objects and its next faults."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.released = threading.Event()
        self.reset()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = (
                True  # Otherwise a body waits 40 ms for the acknowledgement of its headers.
            )

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                fake.serve(self, {name: values[0] for name, values in parse_qs(body).items()})

            def do_GET(self) -> None:
                query = urlsplit(self.path).query
                fake.serve(self, {name: values[0] for name, values in parse_qs(query).items()})

            def log_message(self, *_args: Any) -> None:
                """Keep the tests' output clean."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    def reset(self) -> None:
        """Delete all objects and faults, and drop the pending requests."""
        self.released.set()
        self.released = threading.Event()
        self.intents: dict[str, dict[str, Any]] = {}
        self.refunds: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.answers: dict[str, tuple[str, int, dict[str, Any]]] = {}
        self.faults: dict[str, list[str]] = {}
        self.calls: list[str] = []
        self.hooks: dict[str, Any] = {}

    def close(self) -> None:
        """Drop the pending requests, and stop."""
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

    def fail(self, operation: str, *faults: str) -> None:
        """Fail the next requests with: late never dropped error500 rate_limit garbage."""
        self.faults[operation] = list(faults)

    def intents_of(self, order_id: Any) -> list[dict[str, Any]]:
        """Return the intents of an order."""
        return [each for each in self.intents.values() if each["metadata"].get("order_id") == str(order_id)]

    def serve(self, handler: BaseHTTPRequestHandler, given: dict[str, str]) -> None:
        """Respond to a request, unless a fault is due."""
        operation, act = self._route(handler, given)
        self.calls.append(operation)
        self.hooks.pop(f"before {operation}", lambda: None)()
        fault = self.faults.get(operation, []).pop(0) if self.faults.get(operation) else None
        if fault == "never":
            self.released.wait(30)
            return self._drop(handler)
        if fault == "rate_limit":
            return self._send(handler, 429, Refused(429, code="lock_timeout").body)
        if fault == "garbage":
            return self._send(handler, 200, {"object": "a proxy's error page"})
        status, body = self._act(handler, given, act, broken=fault == "error500")
        self.hooks.pop(f"after {operation}", lambda: None)()
        if fault == "late":
            self.released.wait(30)
            return self._drop(handler)
        if fault == "dropped":
            return self._drop(handler)
        return self._send(handler, status, body)

    def _act(self, handler, given, act, *, broken: bool) -> tuple[int, dict[str, Any]]:
        key = handler.headers.get("Idempotency-Key")
        request = json.dumps([handler.path, given], sort_keys=True)
        with self.lock:
            if key in self.answers:
                before, status, body = self.answers[key]
                return (
                    (status, body)
                    if before == request
                    else (400, Refused(400, type="idempotency_error").body)
                )
            try:
                if handler.headers.get("Authorization") != f"Bearer {SECRET_KEY}":
                    raise Refused(401, message="Invalid API Key provided")
                status, body = (500, Refused(500, type="api_error").body) if broken else (200, act())
            except Refused as error:
                status, body = error.status, error.body
            # Stripe does not store the response to an invalid request.
            if key and status not in {400, 401, 404}:
                self.answers[key] = (request, status, body)
            return status, json.loads(json.dumps(body))

    def _route(self, handler, given):
        path = urlsplit(handler.path).path
        found = re.fullmatch(r"/v1/payment_intents(?:/(\w+)(?:/(\w+))?)?", path)
        given.pop("expand[0]", None)
        if found:
            name, verb = found.groups()
            if name is None:
                return "create", lambda: self._create(given)
            return verb or "retrieve", lambda: getattr(self, f"_{verb or 'retrieve'}")(self._find(name))
        if path == "/v1/refunds":
            if handler.command == "GET":
                return "list_refunds", lambda: self._list_refunds(given)
            return "refund", lambda: self._refund(given)
        if path == "/v1/events":
            return "list_events", lambda: self._list_events(given)
        return "unknown", lambda: (_ for _ in ()).throw(Refused(404))

    def _find(self, name: str) -> dict[str, Any]:
        if name not in self.intents:
            raise Refused(404, code="resource_missing", param="intent")
        return self.intents[name]

    def _create(self, given):
        for name in given.keys() - CREATE:
            raise Refused(400, code="parameter_unknown", param=name)
        if int(given["amount"]) < 50:
            raise Refused(400, code="amount_too_small", param="amount")
        if given["payment_method"] not in CARDS:
            raise Refused(400, code="resource_missing", param="payment_method")
        name = f"pi_{len(self.intents)}"
        self.intents[name] = {
            "id": name,
            "object": "payment_intent",
            "amount": int(given["amount"]),
            "amount_received": 0,
            "currency": given["currency"],
            "capture_method": given["capture_method"],
            "client_secret": f"{name}_secret_x",
            "payment_method": given["payment_method"],
            "metadata": {each: given[f"metadata[{each}]"] for each in ("payment_id", "order_id")},
            "status": "requires_confirmation",
            "latest_charge": None,
            "next_action": None,
            "last_payment_error": None,
        }
        return self.intents[name]

    def _retrieve(self, intent):
        return intent

    def _confirm(self, intent):
        if intent["status"] != "requires_confirmation":
            raise Refused(400, code="payment_intent_unexpected_state")
        method = intent["payment_method"]
        if method in DECLINES:
            return self._decline(intent, DECLINES[method])
        if method == "pm_card_authenticationRequired":
            intent["status"] = "requires_action"
            intent["next_action"] = {"type": "use_stripe_sdk", "use_stripe_sdk": {}}
            return self._emit("requires_action", intent)
        return self._hold(intent)

    def authenticate(self, intent, *, approved: bool) -> None:
        """Answer the bank as the customer, as Stripe's page in the browser does."""
        with self.lock:
            intent["next_action"] = None
            if approved:
                self._hold(intent)
                return
            intent["status"] = "requires_payment_method"
            intent["last_payment_error"] = {"code": "payment_intent_authentication_failure"}
            self._emit("payment_failed", intent)

    def _hold(self, intent):
        intent["status"] = "requires_capture"
        intent["latest_charge"] = {"object": "charge", "id": f"ch_{intent['id']}", "amount_refunded": 0}
        return self._emit("amount_capturable_updated", intent)

    def _decline(self, intent, decline_code):
        error = {"type": "card_error", "code": "card_declined", "decline_code": decline_code}
        intent["status"], intent["last_payment_error"] = "requires_payment_method", error
        self._emit("payment_failed", intent)
        raise Refused(402, **error, payment_intent=dict(intent))

    def _capture(self, intent):
        if intent["status"] != "requires_capture":
            raise Refused(400, code="payment_intent_unexpected_state")
        if intent["payment_method"] == "pm_card_captureRefused":
            raise Refused(400, code="charge_expired_for_capture")
        intent["status"], intent["amount_received"] = "succeeded", intent["amount"]
        return self._emit("succeeded", intent)

    def _cancel(self, intent):
        if intent["status"] in {"succeeded", "canceled"}:
            raise Refused(400, code="payment_intent_unexpected_state")
        intent["status"], intent["next_action"] = "canceled", None
        return self._emit("canceled", intent)

    def _refund(self, given):
        for name in given.keys() - REFUND:
            raise Refused(400, code="parameter_unknown", param=name)
        intent, amount = self._find(given["payment_intent"]), int(given["amount"])
        charge = intent["latest_charge"]
        if intent["status"] != "succeeded" or charge["amount_refunded"] + amount > intent["amount_received"]:
            raise Refused(400, code="charge_already_refunded")
        charge["amount_refunded"] += amount
        metadata = {name[9:-1]: value for name, value in given.items() if name.startswith("metadata[")}
        refund = {
            "id": f"re_{len(self.refunds)}",
            "object": "refund",
            "amount": amount,
            "payment_intent": intent["id"],
            "metadata": metadata,
            "status": "succeeded",
        }
        self.refunds.append(refund)
        return refund

    def _list_refunds(self, given):
        found = [each for each in self.refunds if each["payment_intent"] == given["payment_intent"]]
        return {"object": "list", "data": found, "has_more": False, "url": "/v1/refunds"}

    def _list_events(self, given):
        """Return pages of two events, newest first, so that the client has to paginate."""
        wanted = [value for name, value in given.items() if name.startswith("types[")]
        found = [
            event
            for event in reversed(self.events)
            if event["type"] in wanted
            and int(given["created[gte]"]) <= event["created"] < int(given["created[lt]"])
        ]
        after = (
            [event["id"] for event in found].index(given["starting_after"]) + 1
            if "starting_after" in given
            else 0
        )
        page = found[after : after + 2]
        return {"object": "list", "data": page, "has_more": after + 2 < len(found), "url": "/v1/events"}

    def _emit(self, kind: str, intent: dict[str, Any]) -> dict[str, Any]:
        # An event contains the intent at that time, with only the id of its charge.
        charge = intent["latest_charge"]
        shown = {**intent, "latest_charge": charge and charge["id"]}
        self.events.append(
            {
                "id": f"evt_{len(self.events)}",
                "object": "event",
                "type": f"payment_intent.{kind}",
                "created": int(time.time()),
                "data": {"object": json.loads(json.dumps(shown))},
            }
        )
        return intent

    def _send(self, handler: BaseHTTPRequestHandler, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(content)))
        handler.send_header("Request-Id", "req_1")
        handler.end_headers()
        handler.wfile.write(content)

    def _drop(self, handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.connection.shutdown(socket.SHUT_RDWR)


def sign(body: bytes, *, secret: str = WEBHOOK_SECRET, age: float = 0) -> str:
    """Return the signature header of an event."""
    moment = int(time.time() - age)
    return stripe.WebhookSignature.generate_signature_header(body.decode(), secret, moment)
