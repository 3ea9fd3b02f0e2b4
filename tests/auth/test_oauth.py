"""The OAuth 2.0 client credentials grant (RFC 6749, sections 2.3, 4.4 and 5)."""

import base64
from io import BytesIO
from urllib.parse import quote_plus

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.formparser import FormDataParser

from tests.auth.conftest import claims_of

GRANT = {"grant_type": "client_credentials"}
FORM = "application/x-www-form-urlencoded"
SERVICE = ("orders-service", "orders secret")


def basic(name: str, secret: str) -> dict[str, str]:
    """Return the Authorization header of a client, encoded as the RFC requires."""
    pair = f"{quote_plus(name)}:{quote_plus(secret)}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def get_token(client, name, secret, **form):
    answer = client.post("/auth/token", data={**GRANT, **form}, headers=basic(name, secret))
    assert answer.status_code == 200, answer.text
    return answer.json["access_token"]


def test_a_service_gets_a_token_for_its_credentials_in_the_header(client):
    answer = client.post("/auth/token", data=GRANT, headers=basic(*SERVICE))
    assert answer.status_code == 200
    assert answer.json.keys() == {"access_token", "token_type", "expires_in"}
    claims = claims_of(answer.json["access_token"])
    assert claims["role"] == "service"
    assert claims["sub"] == claims["client_id"] == "orders-service"
    assert claims["scope"] == ""


def test_the_credentials_may_be_in_the_form(client):
    form = {**GRANT, "client_id": SERVICE[0], "client_secret": SERVICE[1]}
    assert client.post("/auth/token", data=form).status_code == 200


def test_the_credentials_in_the_header_are_form_encoded(client):
    # `%20` and `+` both encode the space of the secret.
    for written in ("orders%20secret", "orders+secret"):
        pair = base64.b64encode(f"orders-service:{written}".encode()).decode()
        answer = client.post("/auth/token", data=GRANT, headers={"Authorization": f"Basic {pair}"})
        assert answer.status_code == 200


@pytest.mark.parametrize("form", [GRANT, {"grant_type": "password"}, {}])
@pytest.mark.parametrize("headers", [basic(*SERVICE), basic(SERVICE[0], "wrong")])
def test_no_response_of_the_token_endpoint_is_cached(client, form, headers):
    answer = client.post("/auth/token", data=form, headers=headers)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Pragma"] == "no-cache"


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("orders-service", "wrong"),
        ("unknown", "orders secret"),
        ("orders-service", ""),
        ("", ""),
        ("shop", ""),
        ("app-0196f5a0-0000-7000-8000-000000000000", "orders secret"),
        ("app-\0", "x"),
        ("häßlich", "ü€"),
    ],
)
def test_wrong_credentials_are_an_invalid_client(client, name, secret):
    for answer in (
        client.post("/auth/token", data=GRANT, headers=basic(name, secret)),
        client.post("/auth/token", data={**GRANT, "client_id": name, "client_secret": secret}),
    ):
        assert answer.status_code == 401
        assert answer.json["error"] == "invalid_client"
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.parametrize("header", ["Basic", "Basic !", "Basic /w==", "Bearer abc", "Digest a=b", "x"])
def test_a_header_without_a_client_is_an_invalid_client_despite_the_form(client, header):
    form = {**GRANT, "client_id": SERVICE[0], "client_secret": SERVICE[1]}
    answer = client.post("/auth/token", data=form, headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.json["error"] == "invalid_client"


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, "unsupported_grant_type"),
        ({**GRANT, "scope": "logs:write"}, "invalid_scope"),
        ({**GRANT, "client_secret": "orders secret"}, "invalid_request"),
        ({**GRANT, "client_id": "catalog-service"}, "invalid_request"),
    ],
)
def test_a_refused_grant_has_its_error_code(client, form, error):
    answer = client.post("/auth/token", data=form, headers=basic(*SERVICE))
    assert answer.status_code == 400
    assert answer.json["error"] == error


def test_the_form_may_repeat_the_client_id_of_the_header(client):
    form = {**GRANT, "client_id": "orders-service", "client_secret": "", "scope": ""}
    assert client.post("/auth/token", data=form, headers=basic(*SERVICE)).status_code == 200


@pytest.mark.parametrize("name", ["grant_type", "scope", "client_id", "anything"])
def test_a_repeated_parameter_is_an_invalid_request(client, name):
    body = f"grant_type=client_credentials&{name}=a&{name}=b"
    answer = client.post("/auth/token", data=body, content_type=FORM, headers=basic(*SERVICE))
    assert answer.status_code == 400
    assert answer.json["error"] == "invalid_request"


def test_unknown_parameters_and_query_parameters_are_ignored(client):
    assert (
        client.post("/auth/token?grant_type=client_credentials", headers=basic(*SERVICE)).status_code == 400
    )
    answer = client.post("/auth/token?scope=x", data={**GRANT, "color": "red"}, headers=basic(*SERVICE))
    assert answer.status_code == 200


FORM_ROUTES = ["/auth/token", "/auth/introspect", "/auth/revoke"]


@pytest.fixture
def parsed(app, monkeypatch):
    """The length of each form that the application parses."""
    lengths = []

    class NotedParser(FormDataParser):
        def parse(self, stream, mimetype, content_length, options=None):
            lengths.append(content_length)
            return super().parse(stream, mimetype, content_length, options)

    class NotedRequest(app.request_class):
        form_data_parser_class = NotedParser

    monkeypatch.setattr(app, "request_class", NotedRequest)
    return lengths


def test_a_form_with_many_fields_is_read_but_not_parsed(client, parsed):
    """Reading a megabyte costs as much as a few plain calls; parsing it would cost hundreds."""
    parts = "".join(f'--b\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n\r\n' for n in range(999))
    hostile = {
        "98 000 fields": ("&".join(f"f{number:06}=x" for number in range(98_000)), FORM),
        "98 000 fields of one name": ("&".join(["a=bc"] * 98_000), FORM),
        "16 KB of separators": ("&" * 16_000, FORM),
        "one field of a megabyte": ("token=" + "x" * 1_000_000, FORM),
        "a megabyte of escapes": ("token=" + "%20" * 330_000, FORM),
        "999 parts": (f"{parts}--b--\r\n", "multipart/form-data; boundary=b"),
    }
    plain = "token=unknown&grant_type=client_credentials"
    wrong = {}
    for path in FORM_ROUTES:
        client.post(path, data=plain, content_type=FORM, headers=basic(*SERVICE))
        for name, (body, content_type) in hostile.items():
            stream = BytesIO(body.encode())
            answer = client.post(
                path,
                input_stream=stream,
                content_length=len(body),
                content_type=content_type,
                headers=basic(*SERVICE),
            )
            is_unread = content_type == FORM and stream.read(1)
            if answer.status_code not in {400, 413} or is_unread:
                wrong[path, name] = answer.status
    assert wrong == {}
    assert parsed == [len(plain)] * len(FORM_ROUTES)


def test_a_form_with_twenty_fields_and_one_with_the_longest_token_are_parsed(client):
    fields = {f"field{number}": "x" for number in range(19)}
    answer = client.post("/auth/token", data=GRANT | fields, headers=basic(*SERVICE))
    assert answer.status_code == 200
    more = client.post("/auth/token", data=GRANT | fields | {"one": "more"}, headers=basic(*SERVICE))
    assert (more.status_code, more.json["error"]) == (400, "invalid_request")
    escaped = "token=" + "%78" * 4096
    answer = client.post("/auth/revoke", data=escaped, content_type=FORM, headers=basic(*SERVICE))
    assert answer.status_code == 200


@pytest.mark.parametrize("body", [{"json": GRANT}, {"data": GRANT, "content_type": "multipart/form-data"}])
def test_a_body_that_is_not_a_form_is_an_invalid_request(client, body):
    answer = client.post("/auth/token", headers=basic(*SERVICE), **body)
    assert answer.status_code == 400
    assert answer.json["error"] == "invalid_request"


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
@given(
    path=st.sampled_from(FORM_ROUTES),
    body=st.dictionaries(
        st.sampled_from(
            ["grant_type", "scope", "client_id", "client_secret", "token", "token_type_hint", "?"]
        ),
        st.one_of(
            st.sampled_from(["shop", "orders-service", "orders secret", "client_credentials", "sfr_"]),
            st.text(),
        ),
    ),
    header=st.one_of(
        st.none(),
        st.just(basic(*SERVICE)["Authorization"]),
        st.binary().map(lambda credentials: "Basic " + base64.b64encode(credentials).decode()),
        st.text(st.characters(min_codepoint=32, max_codepoint=126)),
    ),
)
def test_any_input_gets_an_error_response_of_the_rfc(client, path, body, header):
    headers = {} if header is None else {"Authorization": header}
    answer = client.post(path, data=body, headers=headers)
    assert answer.status_code in {200, 400, 401}
    if answer.status_code != 200:
        assert answer.json.keys() == {"error", "error_description"}
        for sent in body.values():
            assert len(sent) < 20 or sent not in answer.text
