"""The gunicorn configuration of every service: one worker with 16 threads; scale by adding replicas.

    gunicorn -c python:shared.gunicorn_conf

SERVICE names the service. PORT is its port, by default 5000 as in the tutorial.
"""

import gc
import logging
import os
import select
import socket
import sys
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.workers.base import Worker
from gunicorn.workers.gthread import ThreadWorker

from shared.log import JsonFormatter
from shared.service import package_of

wsgi_app = f"{package_of(os.environ.get('SERVICE', ''))}.app:create_app()"
bind = f"0.0.0.0:{os.environ.get('PORT') or '5000'}"
workers = 1
threads = 16


class LeavingWorker(ThreadWorker):
    """A worker that refuses connections during shutdown, so that the gateway tries the next replica at once.

    gunicorn only stops accepting: new connections wait in the backlog, and are reset when the process exits.
    """

    def set_accept_enabled(self, enabled: bool | None) -> None:
        """Close the listeners at shutdown, after accepting the connections that wait in the backlog."""
        super().set_accept_enabled(enabled)
        if not self.alive:
            for listener in self.sockets:
                while select.select([listener], [], [], 0)[0]:
                    self.accept(listener)
                listener.close()

    def handle_request(self, req: Any, conn: Any) -> bool:
        """Join several Cookie headers with semicolons (RFC 9113, section 8.2.3), not with commas."""
        cookies = [value for name, value in req.headers if name == "COOKIE"]
        if len(cookies) > 1:
            others = [(name, value) for name, value in req.headers if name != "COOKIE"]
            req.headers = [*others, ("COOKIE", "; ".join(cookies))]
        return bool(super().handle_request(req, conn))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Notify the application at once, so that endless responses such as event streams end."""
        app: Any = self.app.callable
        if app is not None:
            app.background.stopping.set()
        super().handle_exit(sig, frame)


worker_class = LeavingWorker

# Longer than nginx keeps an idle connection (60 s), so that nginx closes it. If this side closed it, a
# request could already be on its way.
keepalive = 75
worker_connections = 1000
backlog = 512
# The longest request line that the gateway lets through.
limit_request_line = 8190

# Requests in progress at SIGTERM are finished within the 10 s that the container engine waits.
graceful_timeout = 8
timeout = 30
ARRIVAL = 5.0  # Seconds that a new worker waits at most for the checks of its service to pass.

# The worker's heartbeat is a file, kept in memory where possible.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
control_socket_disable = True

# The service writes its own access records.
accesslog = None
errorlog = "-"
loglevel = "warning"
forwarded_allow_ips = ""


class JsonLogger(Logger):
    """A logger that writes gunicorn's own messages as JSON to standard output."""

    def setup(self, cfg: Config) -> None:
        """Set up gunicorn's loggers, then change their format and stream."""
        super().setup(cfg)
        instance = os.environ.get("INSTANCE") or socket.gethostname()
        for handler in self.error_log.handlers:
            handler.setFormatter(JsonFormatter(os.environ.get("SERVICE", ""), instance))
            if isinstance(handler, logging.StreamHandler):
                handler.setStream(sys.stdout)


logger_class = JsonLogger


def on_starting(_server: Arbiter) -> None:
    """Import the application before the port is open, so that no client waits for the import."""
    import_module(wsgi_app.partition(":")[0])
    # The worker shares these pages with the master until one of them writes; the garbage collector would.
    gc.collect()
    gc.freeze()


def post_worker_init(worker: Worker) -> None:
    """Accept requests once the checks of the service pass, or after waiting long enough."""
    app: Any = worker.app.callable
    app.wait_until_ready(ARRIVAL)


def worker_exit(_server: Arbiter, worker: Worker) -> None:
    """Close the application after its last response."""
    app: Any = worker.app.callable
    if app is not None:
        app.close()
