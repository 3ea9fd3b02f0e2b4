"""The gateway with a certificate."""

import http.client
import json
import socket
import ssl
from pathlib import Path

import pytest

from tests.gateway.conftest import Start
from tests.gateway.harness import GATEWAY, PATIENCE, SERVICES, Gateway, run_gateway, write_settings
from tests.stacks import reserve_port
from tools.certificate import main, make_certificate

pytestmark = pytest.mark.shop


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a certificate for development, in a path with a space."""
    folder = tmp_path_factory.mktemp("a certificate")
    assert main({"TLS_CERTIFICATES": str(folder), "PUBLIC_URL": "https://shop.example"}) == 0
    return folder


@pytest.fixture(scope="module")
def secure(start: Start, certificates: Path) -> Gateway:
    """Return a gateway with the certificate."""
    return start(TLS_CERTIFICATES=str(certificates))


def _shake_hands(
    gateway: Gateway,
    certificates: Path,
    *protocols: str,
    newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    host: str = "127.0.0.1",
) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(certificates / "cert.pem"))
    context.maximum_version = newest
    context.set_alpn_protocols(list(protocols))
    line = socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE)
    return context.wrap_socket(line, server_hostname=host)


def _ask(gateway: Gateway, certificates: Path, path: str) -> tuple[http.client.HTTPResponse, bytes]:
    context = ssl.create_default_context(cafile=str(certificates / "cert.pem"))
    line = http.client.HTTPSConnection("127.0.0.1", gateway.port, timeout=PATIENCE, context=context)
    line.request("GET", path)
    answer = line.getresponse()
    body = answer.read()
    line.close()
    return answer, body


def test_errors_are_the_same_as_without_a_certificate(nginx: str, tmp_path: Path, certificates: Path) -> None:
    away = dict.fromkeys(SERVICES, f"127.0.0.1:{reserve_port()}")
    answers = {}
    with run_gateway(nginx, tmp_path / "gateway", away, TLS_CERTIFICATES=str(certificates)) as gateway:
        for path in ("/nowhere", "/orders"):
            answers[path] = _ask(gateway, certificates, path)
    for path, status, code in (("/nowhere", 404, "not_found"), ("/orders", 502, "bad_gateway")):
        answer, body = answers[path]
        assert answer.status == status
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert json.loads(body)["code"] == code
        assert answer.headers["Retry-After"] == (None if status == 404 else "1")


def test_it_serves_https_and_reports_that_to_services_and_browsers(
    secure: Gateway, certificates: Path
) -> None:
    for path, status in (("/auth/me", 200), ("/nowhere", 404), ("/", 200)):
        answer, body = _ask(secure, certificates, path)
        assert answer.status == status
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        assert answer.headers["X-Frame-Options"] == "DENY"
        if path == "/auth/me":
            assert b'"x-forwarded-proto": "https"' in body


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "shop.example"])
def test_the_certificate_is_valid_for_this_machine_and_the_shop_s_name(
    secure: Gateway, certificates: Path, host: str
) -> None:
    _shake_hands(secure, certificates, host=host).close()


def test_it_supports_http_2_and_http_1_1(secure: Gateway, certificates: Path) -> None:
    for offered, chosen in ((("h2", "http/1.1"), "h2"), (("http/1.1",), "http/1.1"), ((), None)):
        with _shake_hands(secure, certificates, *offered) as line:
            assert line.selected_alpn_protocol() == chosen
            if chosen == "h2":
                # RFC 9113, section 3.4: the preface, then an empty SETTINGS frame; the server sends one, too.
                line.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
                assert line.recv(9)[3] == 4


def test_tls_1_2_is_the_oldest_accepted_version(secure: Gateway, certificates: Path) -> None:
    with _shake_hands(secure, certificates, newest=ssl.TLSVersion.TLSv1_2) as line:
        assert line.version() == "TLSv1.2"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", secure.port), timeout=PATIENCE) as line,
        pytest.raises(ssl.SSLError),
    ):
        context.wrap_socket(line)


def test_plain_http_is_redirected_to_https(secure: Gateway) -> None:
    count = len(secure.upstreams["orders"].seen)
    for method in ("GET", "POST"):
        answer = secure.call("/orders?limit=2", method, {"Host": f"shop.example:{secure.port}"})
        assert answer.status == 308
        assert answer.headers["location"] == f"https://shop.example:{secure.port}/orders?limit=2"
    assert len(secure.upstreams["orders"].seen) == count


def test_without_a_certificate_it_serves_http_without_hsts(gateway: Gateway) -> None:
    answer = gateway.call("/")
    assert answer.status == 200
    assert "strict-transport-security" not in answer.headers


def test_a_folder_without_both_files_stops_the_start_and_names_the_setting(tmp_path: Path) -> None:
    for present in ((), ("cert.pem",), ("key.pem",)):
        folder = tmp_path / f"with {len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        for name in present:
            (folder / name).write_text("-")
        done = write_settings(GATEWAY, tmp_path / "state", {"TLS_CERTIFICATES": str(folder)})
        assert done.returncode == 1
        assert done.stderr.startswith("Cannot start: TLS_CERTIFICATES")


def test_an_existing_certificate_is_kept(certificates: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (certificates / "cert.pem").read_bytes()
    assert main({"TLS_CERTIFICATES": str(certificates)}) == 1
    assert (certificates / "cert.pem").read_bytes() == before
    assert "already has a certificate" in capsys.readouterr().out


def test_every_certificate_is_unique() -> None:
    assert make_certificate() != make_certificate()
