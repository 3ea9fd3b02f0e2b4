"""Locks for which a transaction waits a limited time."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Executable, text
from sqlalchemy.exc import OperationalError

LOCK_NOT_AVAILABLE = "55P03"


def wait_for_lock(
    connection: Connection, statement: Executable, parameters: Mapping[str, Any], *, seconds: float
) -> bool:
    """Run a statement that locks; return False if it waits longer, and the transaction must then end."""
    connection.execute(text(f"SET LOCAL lock_timeout = '{seconds}s'"))
    try:
        connection.execute(statement, parameters)
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) == LOCK_NOT_AVAILABLE:
            return False
        raise
    connection.execute(text("SET LOCAL lock_timeout TO DEFAULT"))
    return True
