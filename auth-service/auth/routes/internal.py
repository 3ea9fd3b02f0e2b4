"""What only our own services ask for."""

import hashlib

from apiflask import APIBlueprint
from flask import Response, jsonify, request

from auth.schemas.accounts import SignedOff
from auth.use_cases import sessions
from shared.database import Database
from shared.openapi import Responses

UNCHANGED: Responses = {304: {"description": "The list is what If-None-Match says."}}


def sign_off_routes(database: Database) -> APIBlueprint:
    """Return the route that every service asks every two seconds."""
    routes = APIBlueprint("sign_offs", __name__)

    @routes.get("/internal/signed-off")
    @routes.output(SignedOff)
    @routes.doc(responses=UNCHANGED)
    def show_signed_off() -> Response:
        """List the sessions and tokens that are refused from now on; answers 304 to a list that is known."""
        ids = sessions.read_signed_off(database)
        response = jsonify(SignedOff(ids=ids).model_dump())
        response.set_etag(hashlib.sha256("\n".join(ids).encode()).hexdigest()[:32])
        response.headers["Cache-Control"] = "no-cache"
        response.make_conditional(request)
        return response

    return routes
