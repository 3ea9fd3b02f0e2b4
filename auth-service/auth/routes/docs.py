"""The Swagger UI files that the gateway's page `/docs` loads."""

from importlib.metadata import version
from importlib.resources import files

from apiflask import APIBlueprint
from flask import Response, request

from shared.errors import NotFound

PACKAGE = "flask-swagger-ui"
# The files that the page loads. The package contains others, such as its own page.
CONTENT_TYPES = {
    "swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui-standalone-preset.js": "text/javascript; charset=utf-8",
}
# The files change only with the version of the package; a browser may show the old ones for an hour.
CACHING = {"Cache-Control": "public, max-age=3600"}


def docs_routes() -> APIBlueprint:
    """Return the route of the files."""
    routes = APIBlueprint("docs", __name__)
    folder, etag = files("flask_swagger_ui") / "dist", version(PACKAGE)

    @routes.get("/docs/assets/<asset>")
    @routes.doc(hide=True)
    def show_asset(asset: str) -> Response:
        if asset not in CONTENT_TYPES:
            raise NotFound
        body = (folder / asset).read_bytes()
        response = Response(body, content_type=CONTENT_TYPES[asset], headers=CACHING)
        response.set_etag(etag, weak=True)
        response.make_conditional(request)
        return response

    return routes
