"""The client's address, as the gateway reports it."""

import ipaddress

LONGEST = 64  # Characters.


def read_address(forwarded: str | None, peer: str | None) -> str:
    """Return the client's address from X-Forwarded-For, which the gateway overwrites, else the peer's."""
    address = (forwarded or "").rpartition(",")[2].strip() or peer or ""
    return "".join(character for character in address if character.isprintable())[:LONGEST] or "unknown"


def find_network(address: str) -> str:
    """Return the stable part of an address: all of an IPv4 address, the /64 network of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed.packed, 64), strict=False))
    return str(parsed.ipv4_mapped)
