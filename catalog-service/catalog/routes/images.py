"""The sample products' pictures."""

from hashlib import blake2s

from apiflask import APIBlueprint
from flask import Response, request

from catalog.errors import ImageNotFound
from catalog.images import find_image
from shared.openapi import Responses, document_errors

# They change with a release at most; a stale one does no harm for a week.
CACHING = {"Cache-Control": "public, max-age=604800, stale-while-revalidate=86400"}
SHOWN: Responses = {
    200: {"description": "The picture.", "content": {"image/svg+xml": {"schema": {"type": "string"}}}},
    304: {"description": "It is as the ETag in If-None-Match says."},
    **document_errors(ImageNotFound),
}


def image_routes() -> APIBlueprint:
    """Return the routes of the pictures."""
    routes = APIBlueprint("images", __name__)

    @routes.get("/images/<name>.svg")
    @routes.doc(responses=SHOWN)
    def show_image(name: str) -> Response:
        """Show the picture of a product of the sample, named as its sku in small letters."""
        picture = find_image(name)
        if picture is None:
            raise ImageNotFound
        response = Response(picture, content_type="image/svg+xml; charset=utf-8", headers=CACHING)
        response.set_etag(blake2s(response.get_data(), digest_size=12).hexdigest(), weak=True)
        response.make_conditional(request)
        return response

    return routes
