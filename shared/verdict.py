"""What the gateway may keep of an answer, and the question by which it asks whose token may see that.

mount(app, verdict_routes(), access=PRODUCT_READERS, recorded=False)
"""

import time
from typing import Any

from apiflask import APIBlueprint
from flask import Response


def verdict_routes() -> APIBlueprint:
    """Return the route by which the gateway asks whether a token may see what it has kept."""
    routes = APIBlueprint("verdict", __name__)

    @routes.get("/verdict")
    @routes.output({}, status_code=204)
    def tell_verdict() -> Any:
        """Say whether this token may list products: 204, or the problem that the list would answer."""
        return Response(status=204, headers=kept_by_gateway())

    return routes


def kept_by_gateway() -> dict[str, str]:
    """Return headers by which the gateway keeps an answer for less than 2 s, and a browser asks each time.

    nginx counts in whole seconds: fresh to the end of this one, and shown during the next while it is fetched
    anew behind the reader's back (RFC 5861). nginx heeds the second only if it comes after the first.
    """
    return {
        "X-Accel-Expires": f"@{int(time.time())}",
        "Cache-Control": "private, no-cache, stale-while-revalidate=1",
    }
