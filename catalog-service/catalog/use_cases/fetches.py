"""Fetch the images of the product source and of imports, each once."""

import logging
from collections.abc import Callable
from datetime import datetime

from catalog.clients import ImageClient
from catalog.encoder import Encoder
from catalog.errors import ImageRefused, UploadsBusy, UpstreamFailed
from catalog.repository import fetches as repository
from catalog.repository import images
from shared.database import Database

log = logging.getLogger(__name__)

LEASE = 120  # Seconds in which a replica fetches and encodes one image.
ATTEMPTS = 5
FIRST_WAIT = 60.0  # Seconds before the second attempt; four times as long before each further one.
MOST = 10  # Images of one round, so that a slow host does not make the task look dead.


class Fetcher:
    """Fetches the images that copied and imported products name, through the same checks as uploads.

    Every replica does this; a claim in the database keeps two from fetching the same image.
    """

    def __init__(
        self, database: Database, client: ImageClient, encoder: Encoder, is_stopping: Callable[[], bool]
    ) -> None:
        self._database = database
        self._client = client
        self._encoder = encoder
        self._is_stopping = is_stopping
        self._noted_at: datetime | None = None

    def fetch_images(self) -> int:
        """Note the images of a new copy, then fetch those that are due; return how many were stored."""
        self._note_images()
        stored = 0
        for _ in range(MOST):
            if self._is_stopping():
                break
            with self._database.transaction() as connection:
                fetch = repository.claim_fetch(connection, LEASE)
            if fetch is None:
                break
            stored += self._fetch(fetch)
        return stored

    def _note_images(self) -> None:
        with self._database.transaction() as connection:
            copied_at = repository.read_copied_at(connection)
            if copied_at is None or copied_at == self._noted_at:
                return
            images.refresh_media(connection, repository.note_images(connection))
        self._noted_at = copied_at

    def _fetch(self, fetch: repository.Fetch) -> bool:
        try:
            data = self._client.fetch(fetch.url)
            with self._encoder.turn():
                file = self._encoder.encode(data)
        except (ImageRefused, UpstreamFailed, UploadsBusy) as error:
            is_final = isinstance(error, ImageRefused) or fetch.attempts >= ATTEMPTS
            wait = None if is_final else FIRST_WAIT * 4 ** (fetch.attempts - 1)
            log.info("An image was not fetched: %s", error.detail)
            with self._database.transaction() as connection:
                repository.record_failure(connection, fetch.url, error.detail, wait)
            return False
        with self._database.transaction() as connection:
            images.store_file(connection, file)
            ids = repository.record_fetch(connection, fetch.url, file.hash)
            images.refresh_media(connection, ids)
        return True
