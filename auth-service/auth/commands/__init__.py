"""The commands of auth-service, and their common set-up."""

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial

from prometheus_client import CollectorRegistry

from auth.config import Settings
from auth.issuer import TokenIssuer
from auth.signing_keys import SigningKeys
from auth.use_cases.oauth import issue_own_token
from shared.database import Database, connect
from shared.shipping import create_shipper


@contextmanager
def open_command(settings: Settings) -> Iterator[Database]:
    """Yield the database, and at the end ship the log records to logs-service, if it is configured."""
    with closing(connect(settings)) as database:
        issuer = TokenIssuer(SigningKeys(database), settings.public_url, settings.token_seconds)
        token = partial(issue_own_token, issuer, settings.service)
        shipper = create_shipper(settings, token, CollectorRegistry())
        # Standard output is for the result of the command.
        terminal = logging.StreamHandler()
        terminal.setLevel(logging.WARNING)
        handlers = [terminal, shipper] if shipper else [terminal]
        logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=handlers, force=True)
        if shipper:
            shipper.start()
        try:
            yield database
        finally:
            if shipper:
                shipper.stop()
