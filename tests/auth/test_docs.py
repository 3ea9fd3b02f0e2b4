"""The files of Swagger UI, which the gateway's page `/docs` loads."""

import pytest

FILES = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui-standalone-preset.js": "text/javascript",
}


@pytest.mark.parametrize(("name", "kind"), FILES.items())
def test_a_file_is_public_and_may_be_cached_for_an_hour(client, name, kind):
    answer = client.get(f"/docs/assets/{name}")
    assert (answer.status_code, answer.mimetype) == (200, kind)
    assert len(answer.data) > 100_000
    assert answer.headers["Cache-Control"] == "public, max-age=3600"


def test_an_unchanged_file_is_not_sent_again(client):
    first = client.get("/docs/assets/swagger-ui.css")
    again = client.get("/docs/assets/swagger-ui.css", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize(
    "name", ["index.html", "oauth2-redirect.html", "VERSION", "..%2f__init__.py", "none.js"]
)
def test_other_files_of_the_package_are_not_found(client, name):
    answer = client.get(f"/docs/assets/{name}")
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")
