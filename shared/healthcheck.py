"""The container's healthcheck: exit 0 if this service's `/healthz` answers 200."""

import http.client
import os
import sys


def main() -> int:
    """Send one request; the time-out leaves room for a busy machine."""
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("PORT", "5000")), timeout=5)
    try:
        connection.request("GET", "/healthz")
        return 0 if connection.getresponse().status == 200 else 1
    except OSError:
        return 1


if __name__ == "__main__":
    sys.exit(main())
