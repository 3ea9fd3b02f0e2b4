"""Routes for the shop's own services."""

import hashlib

from apiflask import APIBlueprint
from flask import Response, jsonify, request

from auth.schemas.accounts import SignedOff, SignedOffQuery
from auth.use_cases import sessions
from shared.database import Database
from shared.openapi import Responses

UNCHANGED: Responses = {304: {"description": "The list matches If-None-Match."}}


def sign_off_routes(database: Database) -> APIBlueprint:
    """Return the route that each service polls every two seconds."""
    routes = APIBlueprint("sign_offs", __name__)

    @routes.get("/internal/signed-off")
    @routes.input(SignedOffQuery, location="query")
    @routes.output(SignedOff)
    @routes.doc(responses=UNCHANGED)
    def show_signed_off(query_data: SignedOffQuery) -> Response:
        """List the signed-off sessions and tokens, or with `since` only the newer ones.

        Responds with 304 if the client already has the whole list.
        """
        since = query_data.since
        ids, as_of = sessions.read_signed_off(database, since)
        answer = SignedOff(ids=ids, as_of=as_of, since=since)
        response = jsonify(answer.model_dump(mode="json", exclude_none=True))
        response.headers["Cache-Control"] = "no-cache"
        if since is None:
            response.set_etag(hashlib.sha256("\n".join(ids).encode()).hexdigest()[:32])
            response.make_conditional(request)
        return response

    return routes
