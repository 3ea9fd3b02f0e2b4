"""How every service is served: one worker, 16 threads; more cores means more replicas.

    gunicorn -c python:shared.gunicorn_conf

SERVICE names the service, PORT where it listens (5000 when it runs alone, as in the tutorial).
"""

import logging
import os
import signal
import socket
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.workers.base import Worker

from shared.log import JsonFormatter
from shared.service import package_of

wsgi_app = f"{package_of(os.environ.get('SERVICE', ''))}.app:create_app()"
bind = f"0.0.0.0:{os.environ.get('PORT') or '5000'}"
workers = 1
threads = 16
worker_class = "gthread"

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


def post_worker_init(worker: Worker) -> None:
    """Tell the application of SIGTERM at once, so that what goes on without end lets go of its thread."""
    stop_gracefully: Any = signal.getsignal(signal.SIGTERM)
    app: Any = worker.app.callable

    def begin_stop(number: int, frame: FrameType | None) -> None:
        app.background.stopping.set()
        stop_gracefully(number, frame)

    signal.signal(signal.SIGTERM, begin_stop)


def worker_exit(_server: Arbiter, worker: Worker) -> None:
    """Let the application go in good order, once the last request is answered."""
    app: Any = worker.app.callable
    if app is not None:
        app.close()
