"""The images of the sample products."""

from hashlib import blake2s

from apiflask import APIBlueprint
from flask import Response, request

from catalog.errors import ImageNotFound
from catalog.images import find_file, find_image
from shared.openapi import Responses, document_errors

# Images change only with a release, and a stale one does no harm for a week.
CACHING = {"Cache-Control": "public, max-age=604800, stale-while-revalidate=86400"}
SHOWN: Responses = {
    200: {"description": "The image.", "content": {"image/svg+xml": {"schema": {"type": "string"}}}},
    304: {"description": "Not modified: it still matches If-None-Match."},
    **document_errors(ImageNotFound),
}
DRAWN: Responses = {
    200: {"description": "The image.", "content": {"image/webp": {"schema": {"type": "string"}}}},
    304: SHOWN[304],
    **document_errors(ImageNotFound),
}


def image_routes() -> APIBlueprint:
    """Return the image routes."""
    routes = APIBlueprint("images", __name__)

    @routes.get("/images/<name>.svg")
    @routes.doc(responses=SHOWN)
    def show_image(name: str) -> Response:
        """Show the image of a sample product, named after its SKU in lower case."""
        image = find_image(name)
        if image is None:
            raise ImageNotFound
        response = Response(image, content_type="image/svg+xml; charset=utf-8", headers=CACHING)
        response.set_etag(blake2s(response.get_data(), digest_size=12).hexdigest(), weak=True)
        response.make_conditional(request)
        return response

    @routes.get("/images/<name>-<int:size>.webp")
    @routes.doc(responses=DRAWN)
    def show_drawn_image(name: str, size: int) -> Response:
        """Show the image of a sample product or of a variant, in a size of 480 or 1200 pixels."""
        file = find_file(name, size)
        if file is None:
            raise ImageNotFound
        response = Response(file.read_bytes(), content_type="image/webp", headers=CACHING)
        response.set_etag(blake2s(response.get_data(), digest_size=12).hexdigest())
        response.make_conditional(request)
        return response

    return routes
