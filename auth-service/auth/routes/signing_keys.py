"""The public route for the keys that verify tokens."""

from apiflask import APIBlueprint

from auth.schemas.oauth import KeySet
from auth.signing_keys import SigningKeys
from shared.errors import KeysUnavailable
from shared.openapi import document_errors


def signing_key_routes(keys: SigningKeys) -> APIBlueprint:
    """Return the route of the JSON Web Key Set."""
    routes = APIBlueprint("keys", __name__)

    @routes.get("/.well-known/jwks.json")
    @routes.output(KeySet)
    @routes.doc(responses=document_errors(KeysUnavailable))
    def show_keys() -> tuple[KeySet, int, dict[str, str]]:
        """Show the public keys that verify tokens."""
        answer = KeySet(keys=[key.public_jwk for key in keys.published()])
        return answer, 200, {"Cache-Control": "public, max-age=30"}

    return routes
