"""Ports on this machine: reserve them without a race, and probe whether a program answers."""

import errno
import http.client
import ipaddress
import socket

from local.errors import CannotStart

BACKLOG = 512
PROBE_SECONDS = 1.0


def listen(address: str = "127.0.0.1") -> socket.socket:
    """Open a listening socket on a free port, for a program to inherit.

    While the program restarts, connections wait in the socket and none is refused.
    """
    listener = socket.socket(_family(address))
    listener.bind((address, 0))
    listener.listen(BACKLOG)
    return listener


def reserve(address: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """Reserve a port for a program that opens the port itself.

    The socket is bound and never listens. A program that sets SO_REUSEADDR, as nginx and PostgreSQL do, can
    still listen on the port, and the kernel assigns the port to no other program while that one restarts.
    """
    holder = socket.socket(_family(address))
    if port:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((address, port))
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return holder


def reserve_public(address: str, port: int) -> socket.socket:
    """Reserve the gateway's port against all other programs; raise CannotStart if it is taken.

    The socket listens until `make_way`, so that other programs with SO_REUSEADDR cannot take the port either.
    """
    try:
        holder = reserve(address, port)
        holder.listen()
        return holder
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotStart(
                f"Port {port} on {address} is in use. Choose another port, such as PORT={port + 1}."
            ) from None
        if error.errno == errno.EACCES:
            raise CannotStart(f"Only root can use port {port}. Choose another, such as PORT=8080.") from None
        raise CannotStart(f"The gateway cannot listen on {address} port {port}: {error.strerror}.") from None


def make_way(holder: socket.socket) -> None:
    """Stop listening but keep the reservation, so that the gateway can open the port."""
    holder.shutdown(socket.SHUT_RDWR)


def port_of(holder: socket.socket) -> int:
    """Return the port a socket is bound to."""
    return int(holder.getsockname()[1])


def answers(address: str, port: int, path: str, *, below: int = 300) -> bool:
    """Return whether a GET gets a status below the given one."""
    connection = http.client.HTTPConnection(address, port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        return connection.getresponse().status < below
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
