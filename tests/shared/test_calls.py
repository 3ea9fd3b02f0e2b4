"""Calls to other servers: their headers, their service token, and retries."""

import json
import socket
import threading
import time
from dataclasses import replace

import pytest

from shared import context
from shared.context import Caller
from shared.errors import ServiceUnreachable
from shared.http import HttpClient
from shared.service_calls import ServiceClient, ServiceTokens
from tests.conftest import send_json
from tests.waiting import wait_for


@pytest.fixture(autouse=True)
def no_context():
    yield
    context.leave()


@pytest.fixture
def service(fake_server, auth):
    """A server that issues service tokens and answers all other requests."""

    def answer(handler, _body):
        if handler.path == "/auth/token":
            token = auth.token(role="service")
            send_json(handler, json.dumps({"access_token": token, "expires_in": 900}).encode())
        else:
            send_json(handler, b"{}")

    fake_server.answer = answer
    return fake_server


@pytest.fixture
def client(service):
    return ServiceClient(service.url, ServiceTokens(service.url, "orders-service", "a secret"))


def enter_with_caller(expires_in: float) -> context.Context:
    caller = Caller("me", "customer", "shop", "", None, int(time.time() + expires_in), "their-token")
    work = replace(context.Context(), caller=caller)
    context.enter(work)
    return work


def test_a_call_has_the_request_id_the_trace_and_the_tokens_of_the_caller_and_the_service(client, service):
    work = enter_with_caller(expires_in=60)
    client.request("GET", "/x")
    headers = service.requests[-1][2]
    assert headers["X-Request-ID"] == work.request_id
    assert headers["traceparent"] == f"00-{work.trace.trace_id}-{work.trace.span_id}-01"
    assert headers["Authorization"] == "Bearer their-token"
    assert headers["X-Service-Authorization"].startswith("Bearer ey")


def test_an_expired_token_of_the_caller_is_not_forwarded(client, service):
    enter_with_caller(expires_in=-1)
    client.request("GET", "/x")
    assert "Authorization" not in service.requests[-1][2]
    assert "X-Service-Authorization" in service.requests[-1][2]


def test_the_service_token_is_fetched_once_with_the_credentials(client, service):
    client.request("GET", "/x")
    client.request("GET", "/y")
    asked = [request for request in service.requests if request[1] == "/auth/token"]
    assert len(asked) == 1
    assert asked[0][2]["Authorization"].startswith("Basic ")
    assert asked[0][3] == b"grant_type=client_credentials"


def test_a_call_is_not_sent_without_a_service_token(service):
    service.answer = lambda handler, _body: send_json(handler, b'{"error": "invalid_client"}', status=401)
    client = ServiceClient(service.url, ServiceTokens(service.url, "orders-service", "wrong"))
    with pytest.raises(ServiceUnreachable):
        client.request("GET", "/x")
    assert [path for _method, path, _headers, _body in service.requests] == ["/auth/token"]


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("shared.service_calls.time", clock)
    return clock


def test_a_token_is_used_until_it_expires_while_auth_is_down_and_auth_is_rarely_called(fake_server, clock):
    server = TokenServer(fake_server)
    tokens = ServiceTokens(fake_server.url, "orders-service", "a secret")
    tokens.current()
    server.is_away = True
    clock.now += 460
    for _ in range(3):
        assert tokens.current() == "1"
    assert server.asked == 2
    clock.now += 2
    assert tokens.current() == "1"
    assert server.asked == 3
    clock.now = 1891
    with pytest.raises(ServiceUnreachable):
        tokens.current()
    server.is_away = False
    clock.now += 2
    assert tokens.current() == "2"


def test_calls_do_not_wait_for_auth_while_the_token_is_valid(fake_server, clock):
    server = TokenServer(fake_server)
    tokens = ServiceTokens(fake_server.url, "orders-service", "a secret")
    tokens.current()
    clock.now += 460
    server.answers.clear()
    first = threading.Thread(target=tokens.current)
    first.start()
    wait_for(lambda: server.asked == 2)
    assert tokens.current() == "1"
    server.answers.set()
    first.join()
    assert tokens.current() == "2"


class TokenServer:
    """A server that issues numbered tokens, and refuses those that have ended."""

    def __init__(self, server) -> None:
        self.server = server
        self.made, self.ended, self.presented = 0, set(), []
        self.asked, self.is_away, self.answers = 0, False, threading.Event()
        self.answers.set()
        server.answer = self._answer

    def _answer(self, handler, _body) -> None:
        if handler.path == "/auth/token":
            self.asked += 1
            self.answers.wait(10)
            if self.is_away:
                return send_json(handler, b"{}", status=503)
            self.made += 1
            token = json.dumps({"access_token": str(self.made), "expires_in": 900}).encode()
            return send_json(handler, token)
        self.presented.append(handler.headers["X-Service-Authorization"])
        return send_json(handler, b"{}", status=401 if self.presented[-1] in self.ended else 200)


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
def test_a_token_that_ended_early_is_renewed_and_the_call_retried(fake_server, method):
    server = TokenServer(fake_server)
    client = ServiceClient(fake_server.url, ServiceTokens(fake_server.url, "orders-service", "a secret"))
    assert client.request("GET", "/x").status_code == 200
    server.ended = {"Bearer 1"}
    assert client.request(method, "/x", json={"a": 1}).status_code == 200
    assert server.presented == ["Bearer 1", "Bearer 1", "Bearer 2"]


def test_a_call_that_is_refused_with_a_new_token_too_is_not_retried_again(fake_server):
    server = TokenServer(fake_server)
    client = ServiceClient(fake_server.url, ServiceTokens(fake_server.url, "orders-service", "a secret"))
    client.request("GET", "/x")
    server.ended = {"Bearer 1", "Bearer 2"}
    assert client.request("GET", "/x").status_code == 401
    assert server.presented == ["Bearer 1", "Bearer 1", "Bearer 2"]


def test_only_the_refused_token_is_forgotten(fake_server):
    server = TokenServer(fake_server)
    tokens = ServiceTokens(fake_server.url, "orders-service", "a secret")
    refused = tokens.current()
    tokens.forget(refused)
    tokens.current()
    tokens.forget(refused)
    assert tokens.current() == "2"
    assert server.made == 2


def test_a_redirect_is_not_followed(service):
    def redirect(handler, _body):
        handler.send_response(302)
        handler.send_header("Location", "http://127.0.0.1:9/")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    service.answer = redirect
    assert HttpClient(service.url).request("GET", "/x").status_code == 302


@pytest.mark.parametrize(("method", "times"), [("GET", 2), ("PUT", 2), ("DELETE", 2), ("POST", 1)])
def test_only_idempotent_calls_are_retried(service, method, times):
    service.answer = lambda handler, _body: send_json(handler, b"{}", status=503)
    assert HttpClient(service.url).request(method, "/x").status_code == 503
    assert len(service.requests) == times


def test_a_call_is_retried_after_a_dropped_connection(service):
    def drop_the_first(handler, _body):
        if len(service.requests) == 1:
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True
        else:
            send_json(handler, b"{}")

    service.answer = drop_the_first
    assert HttpClient(service.url).request("GET", "/x").status_code == 200


def test_a_call_that_times_out_is_not_retried(service):
    service.answer = lambda _handler, _body: time.sleep(0.5)
    client = HttpClient(service.url, timeout=(0.1, 0.1))
    with pytest.raises(ServiceUnreachable):
        client.request("GET", "/x")
    assert len(service.requests) == 1


def test_a_closed_port_is_unreachable(service):
    service.close()
    with pytest.raises(ServiceUnreachable):
        HttpClient(service.url).request("GET", "/x")


def test_a_base_url_may_have_a_path_and_parameters_are_escaped(service):
    HttpClient(f"{service.url}/api/").request("GET", "/x", params={"ids": "1,2", "q": "a b"})
    assert service.requests[-1][1] == "/api/x?ids=1%2C2&q=a+b"


def test_a_truncated_response_is_an_error(service):
    def break_off(handler, _body):
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b"half of it")
        handler.close_connection = True

    service.answer = break_off
    with pytest.raises(ServiceUnreachable):
        HttpClient(service.url).request("POST", "/x", json={})
