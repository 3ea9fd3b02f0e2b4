"""Messages go to public addresses only: an admin's URL must not reach what is inside (SSRF)."""

import socket

import pytest

from orders.clients import WebhookClient
from orders.errors import ReceiverUnreachable
from tests.conftest import FakeServer
from tests.shared.test_outgoing import PRIVATE, answer_with

BODY = b"{}"


@pytest.fixture
def server(fake_server: FakeServer) -> FakeServer:
    """A server with a private address, which must get no request."""

    def accept(handler, _body):
        handler.send_response(204)
        handler.end_headers()

    fake_server.answer = accept
    return fake_server


def make_client(resolve=socket.getaddrinfo, *, allows_private=False, requires_https=False):
    return WebhookClient(allows_private=allows_private, requires_https=requires_https, resolve=resolve)


def test_a_private_address_is_not_called_however_the_url_writes_it(server):
    port = server.url.rpartition(":")[2]
    hosts = [
        *("127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "0.0.0.0"),
        *("[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::]", "[64:ff9b::7f00:1]"),
    ]
    for host in hosts:
        with pytest.raises(ReceiverUnreachable):
            make_client().post(f"http://{host}:{port}/", BODY, {})
    assert server.requests == []


def test_a_name_of_a_private_address_is_not_called_and_the_error_says_why(server):
    port = server.url.rpartition(":")[2]
    wrong = []
    for address in PRIVATE:
        resolve, _ = answer_with(address.partition("%")[0])
        client, url = make_client(resolve), f"http://erp.example:{port}/"
        with pytest.raises(ReceiverUnreachable) as refused:
            client.post(url, BODY, {})
        if "WEBHOOK_PRIVATE" not in str(refused.value) or client.find_objection(url) != str(refused.value):
            wrong.append(address)
    assert (wrong, server.requests) == ([], [])


def test_a_name_whose_second_address_is_private_is_called_at_the_first(server):
    """DNS rebinding: the name service answers the check, and then the connection, differently."""
    port = server.url.rpartition(":")[2]
    # TEST-NET-1 of the first answer is not public, so that nothing is called outside.
    resolve, asked = answer_with("192.0.2.1", "127.0.0.1")
    with pytest.raises(ReceiverUnreachable):
        make_client(resolve).post(f"http://erp.example:{port}/", BODY, {})
    assert len(asked) == 1
    # Where private addresses are allowed, the first one is called, and no second one is asked for.
    resolve, asked = answer_with("127.0.0.1", "192.0.2.1")
    answer = make_client(resolve, allows_private=True).post(f"http://erp.example:{port}/", BODY, {})
    assert (answer.status, len(asked), len(server.requests)) == (204, 1, 1)


def test_a_name_that_became_private_after_its_creation_is_not_called(server):
    port = server.url.rpartition(":")[2]
    resolve, asked = answer_with("93.184.216.34", "127.0.0.1")
    client = make_client(resolve)
    assert client.find_objection(f"http://erp.example:{port}/") is None
    with pytest.raises(ReceiverUnreachable):
        client.post(f"http://erp.example:{port}/", BODY, {})
    assert (len(asked), server.requests) == (2, [])


def test_a_link_local_address_is_never_called(server):
    for address in ("169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "fd00:ec2::254"):
        resolve, _ = answer_with(address)
        client = make_client(resolve, allows_private=True)
        assert "link-local" in (client.find_objection("http://erp.example/") or "")
        with pytest.raises(ReceiverUnreachable):
            client.post("http://erp.example/", BODY, {})


def test_an_unknown_host_may_be_set_up_later():
    def fail(*_asked, **_options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    assert make_client(fail).find_objection("https://erp.example/") is None
    with pytest.raises(ReceiverUnreachable, match="not known"):
        make_client(fail).post("https://erp.example/", BODY, {})


def test_http_is_for_development_and_for_private_receivers():
    resolve, _ = answer_with("93.184.216.34")
    cases = {(False, True): False, (False, False): True, (True, True): True, (True, False): True}
    for (allows_private, requires_https), is_accepted in cases.items():
        client = make_client(resolve, allows_private=allows_private, requires_https=requires_https)
        assert (client.find_objection("http://erp.example/") is None) is is_accepted
        assert client.find_objection("https://erp.example/") is None


def test_proxies_of_the_environment_are_ignored(server, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(0.1)
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.delenv("no_proxy", raising=False)
        answer = make_client(allows_private=True).post(f"{server.url}/", BODY, {})
        assert (answer.status, len(server.requests)) == (204, 1)
        with pytest.raises(TimeoutError):
            proxy.accept()
