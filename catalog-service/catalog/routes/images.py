"""The files of images, and the images of the sample products."""

from hashlib import blake2s

from apiflask import APIBlueprint
from flask import Response, request

from catalog.errors import ImageNotFound
from catalog.images import find_file, find_image
from catalog.use_cases import images as use_cases
from shared.database import Database
from shared.openapi import Responses, document_errors

# Images change only with a release, and a stale one does no harm for a week.
CACHING = {
    "Cache-Control": "public, max-age=604800, stale-while-revalidate=86400",
    # The gateway keeps none, so that it serves those of the new release at once.
    "X-Accel-Expires": "0",
}
# A stored file never changes. The gateway keeps it for a day only, because the shop may delete it.
STORED = {"Cache-Control": "public, max-age=31536000, immutable", "X-Accel-Expires": "86400"}
SHOWN: Responses = {
    200: {"description": "The image.", "content": {"image/svg+xml": {"schema": {"type": "string"}}}},
    304: {"description": "Not modified: it still matches If-None-Match."},
    **document_errors(ImageNotFound),
}
STORED_SHOWN: Responses = {
    200: {"description": "The image.", "content": {"image/webp": {"schema": {"type": "string"}}}},
    304: SHOWN[304],
    **document_errors(ImageNotFound),
}


def image_routes(database: Database) -> APIBlueprint:
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

    @routes.get("/images/<digest>-<int:size>.webp")
    @routes.doc(responses=STORED_SHOWN)
    def show_stored_image(digest: str, size: int) -> Response:
        """Show a stored image, or one of the sample, in a size of 480 or 1200 pixels."""
        drawn = find_file(digest, size)
        if drawn is not None:
            response = Response(drawn.read_bytes(), content_type="image/webp", headers=CACHING)
            response.set_etag(blake2s(response.get_data(), digest_size=12).hexdigest())
            response.make_conditional(request)
            return response
        found = use_cases.read_rendition(database, digest, size)
        response = Response(found, content_type="image/webp", headers=STORED)
        response.set_etag(f"{digest}-{size}")
        response.make_conditional(request)
        return response

    return routes
