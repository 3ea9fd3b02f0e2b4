"""Ports on this machine: taken so that nobody can come between, and asked whether somebody answers."""

import errno
import http.client
import ipaddress
import socket

from local.errors import CannotStart

BACKLOG = 512
PROBE_SECONDS = 1.0


def listen(address: str = "127.0.0.1") -> socket.socket:
    """Open a listening socket on a free port, for a program to inherit.

    While the program is away the connections wait in it and none is refused.
    """
    listener = socket.socket(_family(address))
    listener.bind((address, 0))
    listener.listen(BACKLOG)
    return listener


def reserve(address: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """Hold a port for a program that opens it itself.

    The socket is bound and never listens. Beside such a one a program that sets SO_REUSEADDR, as nginx and
    PostgreSQL do, may still listen, and the kernel gives the port to nobody else while it restarts.
    """
    holder = socket.socket(_family(address))
    if port:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((address, port))
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return holder


def reserve_public(address: str, port: int) -> socket.socket:
    """Hold the gateway's port against everybody, or say why it cannot be had.

    It listens, and so takes the port from other programs that set SO_REUSEADDR too, until `make_way`.
    """
    try:
        holder = reserve(address, port)
        holder.listen()
        return holder
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotStart(
                f"Port {port} on {address} is taken by another program; choose another with PORT={port + 1}."
            ) from None
        if error.errno == errno.EACCES:
            raise CannotStart(f"Port {port} is for root only; choose another, such as PORT=8080.") from None
        raise CannotStart(f"The gateway cannot listen on {address} port {port}: {error.strerror}.") from None


def make_way(holder: socket.socket) -> None:
    """Stop listening and go on holding the port, so that the program it is held for can open it."""
    holder.shutdown(socket.SHUT_RDWR)


def port_of(holder: socket.socket) -> int:
    """Return the port a socket is bound to."""
    return int(holder.getsockname()[1])


def answers(address: str, port: int, path: str, *, below: int = 300) -> bool:
    """Tell whether a GET is answered with a status below the given one."""
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
