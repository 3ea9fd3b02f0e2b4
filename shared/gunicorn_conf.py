"""How every service is served: one worker, 16 threads; more cores means more replicas.

    gunicorn -c python:shared.gunicorn_conf

SERVICE names the service, PORT where it listens (5000 when it runs alone, as in the tutorial).
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
    """Takes nobody in once it stops, so that the gateway turns to the next replica at once.

    gunicorn only stops accepting: whoever comes then waits, and is cut off when the process ends.
    """

    def set_accept_enabled(self, enabled: bool | None) -> None:
        """Close the doors for good with the last call, after letting in who stood there already."""
        super().set_accept_enabled(enabled)
        if not self.alive:
            for listener in self.sockets:
                while select.select([listener], [], [], 0)[0]:
                    self.accept(listener)
                listener.close()

    def handle_request(self, req: Any, conn: Any) -> bool:
        """Join cookies that come in several lines by semicolons (RFC 9113, section 8.2.3), not by commas."""
        cookies = [value for name, value in req.headers if name == "COOKIE"]
        if len(cookies) > 1:
            others = [(name, value) for name, value in req.headers if name != "COOKIE"]
            req.headers = [*others, ("COOKIE", "; ".join(cookies))]
        return bool(super().handle_request(req, conn))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Tell the application at once, so that what goes on without end lets go of its thread."""
        app: Any = self.app.callable
        if app is not None:
            app.background.stopping.set()
        super().handle_exit(sig, frame)


worker_class = LeavingWorker

# Longer than nginx keeps an idle connection (60 s), so that it is nginx that closes it, and never
# this side just when a request is on its way.
keepalive = 75
worker_connections = 1000
backlog = 512
# As long a request line as the gateway lets through.
limit_request_line = 8190

# What is being answered at SIGTERM is finished, inside the 10 s that the engine waits.
graceful_timeout = 8
timeout = 30
ARRIVAL = 5.0  # Seconds that a new worker takes at most to reach what its service needs.

# A worker's heartbeat is a file: in memory where there is such a place, and nothing under a home folder.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
control_socket_disable = True

# The service writes its own access records.
accesslog = None
errorlog = "-"
loglevel = "warning"
forwarded_allow_ips = ""


class JsonLogger(Logger):
    """What gunicorn itself has to say, as JSON on standard output like everything else."""

    def setup(self, cfg: Config) -> None:
        """Let gunicorn set its loggers up, and change their form."""
        super().setup(cfg)
        instance = os.environ.get("INSTANCE") or socket.gethostname()
        for handler in self.error_log.handlers:
            handler.setFormatter(JsonFormatter(os.environ.get("SERVICE", ""), instance))
            if isinstance(handler, logging.StreamHandler):
                handler.setStream(sys.stdout)


logger_class = JsonLogger


def on_starting(_server: Arbiter) -> None:
    """Import the application before anybody can connect, since whoever does waits until it is there."""
    import_module(wsgi_app.partition(":")[0])
    # The worker shares what is there now for as long as nobody writes to it, as the garbage collector would.
    gc.collect()
    gc.freeze()


def post_worker_init(worker: Worker) -> None:
    """Let nobody in before the service has what it needs, or has waited for it long enough."""
    app: Any = worker.app.callable
    app.wait_until_ready(ARRIVAL)


def worker_exit(_server: Arbiter, worker: Worker) -> None:
    """Let the application go in good order, once the last request is answered."""
    app: Any = worker.app.callable
    if app is not None:
        app.close()
