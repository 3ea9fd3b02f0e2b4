"""The services' own configuration, but for the application."""

from shared.gunicorn_conf import *  # noqa: F403

wsgi_app = "tests.faults.points:create_app()"
