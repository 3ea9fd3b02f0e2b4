"""The public keys."""

from apiflask import APIBlueprint

from auth.schemas.oauth import KeySet
from auth.signing_keys import SigningKeys


def key_routes(keys: SigningKeys) -> APIBlueprint:
    """Return the route by which everybody learns the public keys."""
    routes = APIBlueprint("keys", __name__)

    @routes.get("/.well-known/jwks.json")
    @routes.output(KeySet)
    def show_keys() -> tuple[KeySet, int, dict[str, str]]:
        """Show the public keys that tokens are verified with."""
        answer = KeySet(keys=[key.public_jwk for key in keys.published()])
        return answer, 200, {"Cache-Control": "public, max-age=30"}

    return routes
