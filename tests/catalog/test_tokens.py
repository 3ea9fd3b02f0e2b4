"""The tutorial's responses to callers without a token or with an invalid one."""


def test_a_missing_token_is_401(client):
    answer = client.get("/products")
    assert answer.status_code == 401
    assert answer.json["error"] == "Authorization token is missing"
    assert answer.json["code"] == "token_missing"
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_tampered_token_is_invalid(client, auth):
    head, _, signature = auth.token().rpartition(".")
    tampered = f"{head}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    answer = client.get("/products", headers={"Authorization": f"Bearer {tampered}"})
    assert answer.status_code == 401
    assert answer.json["error"] == "Authorization token is invalid"


def test_the_header_takes_precedence_over_the_cookie(client, auth):
    client.set_cookie("token", auth.token())
    assert client.get("/products", headers={"Authorization": "Bearer wrong"}).status_code == 401
