"""Settings: environment variables, read once at start."""

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

GUNICORN_BOOT_ERROR = 3  # A worker that ends with this code is not started again in a loop.


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
    """What every service is told; a service's own `Settings` adds its fields.

    A field `database_url` is the variable `DATABASE_URL`, or the contents of the file that
    `DATABASE_URL_FILE` names.
    """

    model_config = ConfigDict(frozen=True)

    service: str = Field(pattern=r"^[a-z]+-service$")
    instance: str = Field(default_factory=socket.gethostname, min_length=1)
    shopfleet_env: Literal["development", "production"] = "development"
    public_url: Url = Field(default="http://localhost:8080", validate_default=True)
    database_url: DatabaseUrl
    database_password: SecretStr | None = None
    # Off behind a PgBouncer before 1.22, where the next transaction may meet a server that has none of them.
    prepared_statements: Literal["on", "off"] = "on"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    # Without it, records go to standard output only.
    logs_url: Url | None = None
    # The folder where records wait to be shipped; without it a temporary one, which ends with the process.
    spool: Path | None = None
    # A MiB is a file that is held open, and a process may hold 1024.
    spool_mib: int = Field(default=128, ge=1, le=512)
    # Where traces go (OTLP/HTTP); without it there are none.
    otel_exporter_otlp_endpoint: Url | None = None

    @field_validator("public_url")
    @classmethod
    def _require_https_in_production(cls, url: str, info: ValidationInfo) -> str:
        """Refuse an address at which no browser keeps the cookies, and no client knows who answers.

        It is the issuer, too, which RFC 8414, section 2, has begin with https.
        """
        if info.data.get("shopfleet_env") == "production" and not url.startswith("https://"):
            raise ValueError("in production it must begin with https://, or browsers keep no cookie")
        return url

    @property
    def production(self) -> bool:
        """Tell whether development's conveniences must be refused."""
        return self.shopfleet_env == "production"


class CallerSettings(ServiceSettings):
    """What a service is told that verifies tokens against auth's keys and calls other services."""

    auth_url: Url
    client_secret: SecretStr


S = TypeVar("S", bound=BaseModel)


def read_settings(model: type[S], environ: Mapping[str, str] = os.environ) -> S:
    """Read `model` from the environment.

    An empty variable counts as unset. A missing or malformed one ends the process with a sentence that
    has its name, and never its value.
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
        return f"{name} is missing; set it, or {name}_FILE to a file that holds it."
    return f"{name} is malformed: {message.removeprefix('Value error, ')}."


def stop_start(*sentences: str) -> NoReturn:
    """End the process with sentences on standard error and a code that gunicorn does not loop on."""
    for sentence in sentences:
        print(f"Cannot start: {sentence}", file=sys.stderr, flush=True)  # noqa: T201  # Nothing logs yet.
    sys.exit(GUNICORN_BOOT_ERROR)
