"""Prometheus metrics of the product source."""

from datetime import UTC, datetime

from catalog.repository.source import read_source_copy
from catalog.sources import Source
from shared.database import Database
from shared.metrics import Figure


def read_figures(database: Database, source: Source) -> list[Figure]:
    """Return the gauges; none if one copy of the source is enough forever."""
    if source.refresh_seconds is None:
        return []
    with database.transaction() as connection:
        copy = read_source_copy(connection)
    values: dict[str, tuple[str, float]] = {
        "catalog_source_refresh_seconds": (
            "Configured seconds between two copies of the source.",
            source.refresh_seconds,
        ),
        "catalog_source_failures": (
            "Failed copies of the source since the last successful one.",
            copy.failures,
        ),
    }
    if copy.copied_at:
        age = (datetime.now(UTC) - copy.copied_at).total_seconds()
        values["catalog_source_age_seconds"] = ("Seconds since the last successful copy of the source.", age)
    return [Figure(name, says, (), {(): value}) for name, (says, value) in values.items()]
