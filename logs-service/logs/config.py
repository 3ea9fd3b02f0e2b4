"""Settings of logs-service."""

from pathlib import Path

from pydantic import Field

from shared.settings import CallerSettings


class Settings(CallerSettings):
    """The settings of logs-service."""

    log_retention_days: int = Field(default=14, ge=1, le=3650)
    log_retention_mib: int = Field(default=4096, ge=64)
    audit_retention_days: int = Field(default=365, ge=1, le=3650)
    # The folder to which the gateway writes its records. Without it, this replica reads none.
    records_from_gateway: Path | None = None
