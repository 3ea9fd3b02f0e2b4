"""Support for the gateway's cache: cache headers, and the route that authorizes access to cached responses.

mount(app, verdict_routes(), access=PRODUCT_READERS, recorded=False)
"""

import time
from typing import Any

from apiflask import APIBlueprint
from flask import Response


def verdict_routes() -> APIBlueprint:
    """Return the route that the gateway calls to check whether a token may see cached responses."""
    routes = APIBlueprint("verdict", __name__)

    @routes.get("/verdict")
    @routes.output({}, status_code=204)
    def tell_verdict() -> Any:
        """Report whether this token may list products: 204, or the error that the list would return."""
        return Response(status=204, headers=kept_by_gateway())

    return routes


def kept_by_gateway() -> dict[str, str]:
    """Return headers that let the gateway cache a response for less than 2 s, and make browsers revalidate.

    nginx counts whole seconds: the response is fresh until the end of the current one, and served stale
    during the next while nginx refreshes it in the background (RFC 5861). nginx requires this order of the
    two headers.
    """
    return {
        "X-Accel-Expires": f"@{int(time.time())}",
        "Cache-Control": "private, no-cache, stale-while-revalidate=1",
    }
