"""Requests to URLs that outsiders choose, such as images of a product source.

The host name is resolved once, and the connection goes to that address, so that a second answer of the name
service changes nothing. Private addresses are refused, redirects are not followed, and size and time are
limited.
"""

import socket
import ssl
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from http.client import HTTPException
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from urllib3 import Timeout
from urllib3.exceptions import HTTPError, NewConnectionError, ProtocolError
from urllib3.exceptions import SSLError as TlsFailed
from urllib3.exceptions import TimeoutError as UrllibTimeout
from urllib3.response import BaseHTTPResponse

from shared import traces
from shared.deadlines import DeadlinePool, DeadlineTlsPool, deadline

CONNECT_TIMEOUT = 3.0  # Seconds.
CHUNK = 65536
LONGEST_REASON = 300  # Characters of a failure.
PORTS = {"http": 80, "https": 443}
# Networks whose addresses contain an IPv4 address, which may be private: NAT64, 6to4, Teredo.
# Networks that some versions of Python call global: IETF's own, site-local, documentation; and the address at
# which machines in Azure find their host.
NOT_PUBLIC = ("192.0.0.0/24", "168.63.129.16/32", "fec0::/10", "3fff::/20")
EMBEDDING = tuple(map(IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96")))

# A host and its port.
Origin = tuple[str, int]
Resolve = Callable[..., list[Any]]


class AddressRefused(Exception):
    """The URL is not an HTTP address, or not a public one."""


class PrivateAddress(AddressRefused):
    """The host has no public address."""


class AnswerTooLarge(Exception):
    """The answer has more bytes than allowed."""


class SendingFailed(Exception):
    """The host has no address, or does not answer in time; a later attempt may succeed.

    The message is a sentence for the user who chose the URL.
    """


@dataclass(frozen=True)
class Answer:
    """A complete answer, with any status."""

    status: int
    headers: Mapping[str, str]
    content: bytes


def send(
    method: str,
    url: str,
    *,
    seconds: float,
    most_bytes: int,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    allowed: Collection[Origin] = (),
    resolve: Resolve = socket.getaddrinfo,
    cuts: bool = False,
) -> Answer:
    """Send a request and return the answer.

    `allowed` origins may have private addresses. `resolve` has the signature of socket.getaddrinfo. With
    `cuts`, the rest of an answer that is too large is not read. Raises AddressRefused, AnswerTooLarge or
    SendingFailed.
    """
    origin, target, is_tls = _parse(url)
    try:
        with deadline(seconds), traces.call(method, url) as noted:
            address = _find_address(origin, is_public_only=origin not in allowed, resolve=resolve)
            with _connect(address, origin, seconds, is_tls=is_tls) as pool:
                sent = {"Accept-Encoding": "identity", **(headers or {})}
                sent["Host"] = _to_host(origin, is_tls=is_tls)
                answer = pool.urlopen(
                    method,
                    target,
                    body,
                    sent,
                    redirect=False,
                    retries=False,
                    preload_content=False,
                    decode_content=False,
                )
                with closing(answer):
                    noted["http.response.status_code"] = answer.status
                    return Answer(answer.status, answer.headers, _read(answer, most_bytes, cuts=cuts))
    except (HTTPError, HTTPException, OSError, ValueError) as error:
        raise SendingFailed(_explain(error, origin)) from error


def check_url(url: str, *, allowed: Collection[Origin] = (), resolve: Resolve = socket.getaddrinfo) -> None:
    """Raise AddressRefused if `send` would refuse the URL now. A host that is not known passes."""
    origin, _, _ = _parse(url)
    with suppress(OSError):
        _find_address(origin, is_public_only=origin not in allowed, resolve=resolve)


def origin_of(url: str) -> Origin:
    """Return the host and port of an HTTP URL; raise ValueError if it is not valid."""
    parts = urlsplit(url)
    return parts.hostname or "", PORTS[parts.scheme] if parts.port is None else parts.port


def is_public(address: str) -> bool:
    """Return whether an IP address is reachable from the whole internet."""
    known: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(known, IPv6Address):
        if known.ipv4_mapped:
            return is_public(str(known.ipv4_mapped))
        if any(known in network for network in EMBEDDING):
            return False
    is_refused = known.is_multicast or known.is_reserved or is_within(address, NOT_PUBLIC)
    return known.is_global and not is_refused


def is_within(address: str, networks: Iterable[str]) -> bool:
    """Return whether an IP address, or the IPv4 address inside it, is in one of the networks."""
    known: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(known, IPv6Address) and known.ipv4_mapped:
        known = known.ipv4_mapped
    return any(known in ip_network(network) for network in networks)


def _parse(url: str) -> tuple[Origin, str, bool]:
    """Return the origin, the path with the query, and whether it is HTTPS."""
    try:
        parts = urlsplit(url)
        origin = origin_of(url)
    except (ValueError, KeyError):
        raise AddressRefused("The URL is not an HTTP address.") from None
    if not origin[0] or parts.username is not None or not url.isascii():
        raise AddressRefused("The URL needs a host in ASCII, without a user name.")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return origin, target, parts.scheme == "https"


def _find_address(origin: Origin, *, is_public_only: bool, resolve: Resolve) -> str:
    host, port = origin
    try:
        found = [entry[4][0] for entry in resolve(host, port, type=socket.SOCK_STREAM)]
    except UnicodeError:
        raise AddressRefused("The host name is not valid.") from None
    public = [address for address in found if not is_public_only or is_public(address)]
    if not public:
        raise PrivateAddress("The host has no public address.")
    return str(public[0])


def _read(answer: BaseHTTPResponse, most_bytes: int, *, cuts: bool) -> bytes:
    content = bytearray()
    while chunk := answer.read1(CHUNK):
        content += chunk
        if len(content) > most_bytes:
            if cuts:
                return bytes(content[:most_bytes])
            raise AnswerTooLarge
    return bytes(content)


def _explain(error: Exception, origin: Origin) -> str:
    """Return a sentence without the URL, which may contain a secret."""
    host, port = origin
    match error:
        case socket.gaierror():
            return f"The host name {host} is not known."
        # It is a kind of UrllibTimeout.
        case NewConnectionError():
            return f"No connection to {host} on port {port}: {_find_reason(error)}."
        case TimeoutError() | UrllibTimeout():
            return "The host did not answer in time."
        case TlsFailed() | ssl.SSLError():
            return f"TLS failed: {_find_reason(error)}."
        case HTTPException() | ProtocolError():
            return f"The connection ended early, or the answer is not HTTP: {error}"[:LONGEST_REASON]
    return f"{error.__class__.__name__}: {error}"[:LONGEST_REASON]


def _find_reason(error: BaseException) -> str:
    """Return what the operating system or OpenSSL says of the failure."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    reason = getattr(error, "verify_message", None) or getattr(error, "strerror", None) or str(error)
    return str(reason)[:LONGEST_REASON]


def _connect(address: str, origin: Origin, seconds: float, *, is_tls: bool) -> DeadlinePool | DeadlineTlsPool:
    timeout = Timeout(connect=CONNECT_TIMEOUT, read=seconds)
    if not is_tls:
        return DeadlinePool(address, origin[1], timeout=timeout)
    # The certificate must be for the name, not for the address.
    return DeadlineTlsPool(
        address,
        origin[1],
        timeout=timeout,
        ssl_context=ssl.create_default_context(),
        server_hostname=origin[0],
        assert_hostname=origin[0],
    )


def _to_host(origin: Origin, *, is_tls: bool) -> str:
    host = f"[{origin[0]}]" if ":" in origin[0] else origin[0]
    return host if origin[1] == PORTS["https" if is_tls else "http"] else f"{host}:{origin[1]}"
