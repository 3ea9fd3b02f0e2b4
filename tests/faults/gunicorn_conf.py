"""The configuration of the services, with a different application."""

from shared.gunicorn_conf import *  # noqa: F403

wsgi_app = "tests.faults.points:create_app()"
