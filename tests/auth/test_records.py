"""What the other services ask for again and again leaves no access record."""

import io
import logging

from shared.log import JsonFormatter


def test_the_keys_and_the_signed_off_list_are_polled_without_a_record(app):
    [handler] = [each for each in logging.getLogger().handlers if isinstance(each.formatter, JsonFormatter)]
    handler.setStream(stream := io.StringIO())
    client = app.test_client()
    assert client.get("/.well-known/jwks.json").status_code == 200
    assert client.get("/internal/signed-off").status_code == 401
    assert stream.getvalue() == ""
    assert client.get("/auth/me").status_code == 401
    assert "GET /auth/me 401" in stream.getvalue()
