"""Where a request comes from, as far as the gateway can tell."""

import ipaddress

LONGEST = 64  # Characters.


def read_address(forwarded: str | None, peer: str | None) -> str:
    """Return the client's address, by X-Forwarded-For as the gateway overwrites it, else by the peer's."""
    address = (forwarded or "").rpartition(",")[2].strip() or peer or ""
    return "".join(character for character in address if character.isprintable())[:LONGEST] or "unknown"


def find_network(address: str) -> str:
    """Return what stays the same from visit to visit: the address, or of IPv6 the network of 64 bits."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed.packed, 64), strict=False))
    return str(parsed.ipv4_mapped)
