"""A time limit for a whole HTTP exchange, however slowly its bytes arrive."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import HTTPResponse

# A socket's timeout applies between two bytes, so a server that sends one byte at a time could block us
# forever. Each connection therefore registers the socket it reads from, and a timer shuts it down at the
# deadline.
_reading = threading.local()


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Shut down the connections of `POOLS` that this thread reads from after some seconds.

    Raises TimeoutError at the end if that happened.
    """
    sockets: list[socket.socket] = []
    has_expired = threading.Event()

    def shut_down() -> None:
        has_expired.set()
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, shut_down)
    timer.daemon = True
    _reading.sockets = sockets
    timer.start()
    try:
        yield
    except Exception as error:
        if has_expired.is_set():
            raise TimeoutError from error
        raise
    finally:
        timer.cancel()
    # A body that was cut off can look complete.
    if has_expired.is_set():
        raise TimeoutError


class _DeadlineConnection(HTTPConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # As in urllib3 itself.
        if self.sock is not None:
            _reading.sockets.append(self.sock)
        return super().getresponse()


class _DeadlineTlsConnection(_DeadlineConnection, HTTPSConnection):
    pass


class DeadlinePool(HTTPConnectionPool):
    """Connections that obey `deadline`."""

    ConnectionCls = _DeadlineConnection


class DeadlineTlsPool(HTTPSConnectionPool):
    """TLS connections that obey `deadline`."""

    ConnectionCls = _DeadlineTlsConnection


POOLS = {"http": DeadlinePool, "https": DeadlineTlsPool}
