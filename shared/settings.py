"""Settings from environment variables, read once at start."""

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, NoReturn, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

GUNICORN_BOOT_ERROR = 3  # gunicorn stops instead of restarting a worker that exits with this code.


def _check_database_url(url: str) -> str:
    try:
        backend = make_url(url).get_backend_name()
    except ArgumentError:
        backend = ""
    if backend != "postgresql":
        raise ValueError("must begin with postgresql://")
    return url


Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+", max_length=2000)]
DatabaseUrl = Annotated[str, AfterValidator(_check_database_url)]


class ServiceSettings(BaseModel):
    """Settings of every service; a service's own `Settings` adds fields.

    The field `database_url` is set by the variable `DATABASE_URL`, or by the contents of the file that
    `DATABASE_URL_FILE` names.
    """

    model_config = ConfigDict(frozen=True)

    service: str = Field(pattern=r"^[a-z]+-service$")
    instance: str = Field(default_factory=socket.gethostname, min_length=1)
    shopfleet_env: Literal["development", "production"] = "development"
    public_url: Url = Field(default="http://localhost:8080", validate_default=True)
    database_url: DatabaseUrl
    database_password: SecretStr | None = None
    # Turn this off behind PgBouncer before 1.22: the next transaction may use a connection without them.
    prepared_statements: Literal["on", "off"] = "on"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    # Without it, records are only written to standard output.
    logs_url: Url | None = None
    # The folder of records that wait to be shipped; by default a temporary one, removed at the end.
    spool: Path | None = None
    # Each MiB is an open file, and a process may have 1024.
    spool_mib: int = Field(default=128, ge=1, le=512)
    # The OTLP/HTTP endpoint for traces; without it no traces are recorded.
    otel_exporter_otlp_endpoint: Url | None = None

    @field_validator("public_url")
    @classmethod
    def _require_https_in_production(cls, url: str, info: ValidationInfo) -> str:
        """Require https in production: browsers discard the cookies otherwise.

        The URL is also the token issuer, which must be an https URL (RFC 8414, section 2).
        """
        if info.data.get("shopfleet_env") == "production" and not url.startswith("https://"):
            raise ValueError("in production it must begin with https://, or browsers discard the cookies")
        return url

    @property
    def production(self) -> bool:
        """Return whether development conveniences must be off."""
        return self.shopfleet_env == "production"


class CallerSettings(ServiceSettings):
    """Settings of a service that verifies tokens with auth's keys and calls other services."""

    auth_url: Url
    client_secret: SecretStr


S = TypeVar("S", bound=BaseModel)


def read_settings(model: type[S], environ: Mapping[str, str] = os.environ) -> S:
    """Read `model` from the environment.

    An empty variable counts as unset. A missing or malformed variable ends the process with a message that
    has its name, but never its value.
    """
    values: dict[str, str] = {}
    for field in model.model_fields:
        name = field.upper()
        value, file = environ.get(name, ""), environ.get(f"{name}_FILE", "")
        if value and file:
            stop_start(f"{name} and {name}_FILE are both set; keep one of them.")
        if file:
            try:
                value = Path(file).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                stop_start(f"{name}_FILE names {file}, which cannot be read: {error.__class__.__name__}.")
        if value:
            values[field] = value
    try:
        return model.model_validate(values)
    except ValidationError as error:
        stop_start(
            *(_explain(item["loc"], item["type"], item["msg"]) for item in error.errors(include_input=False))
        )


def _explain(location: tuple[int | str, ...], kind: str, message: str) -> str:
    name = str(location[0]).upper() if location else "The settings"
    if kind == "missing":
        return f"{name} is missing; set it, or set {name}_FILE to a file that contains it."
    return f"{name} is malformed: {message.removeprefix('Value error, ')}."


def stop_start(*sentences: str) -> NoReturn:
    """Print sentences to standard error, and exit with a code that stops gunicorn, too."""
    for sentence in sentences:
        print(f"Cannot start: {sentence}", file=sys.stderr, flush=True)  # noqa: T201  # No logging yet.
    sys.exit(GUNICORN_BOOT_ERROR)
