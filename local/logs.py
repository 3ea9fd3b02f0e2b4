"""Log files: each program appends to its own file, and the supervisor rotates it."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

MOST_BYTES = 20 * 1024 * 1024
MOST_RECORD_BYTES = 96 * 1024 * 1024
TAIL_BYTES = 16 * 1024


class Logs:
    """The folder STATE/log; in its `records` the gateway leaves log records for logs-service."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.records = folder / "records"
        folder.mkdir(parents=True, exist_ok=True)

    def file(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def open(self, name: str) -> int:
        """Return an appending descriptor, so that a program continues at the start of a truncated file."""
        return os.open(self.file(name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def size(self, name: str) -> int:
        file = self.file(name)
        return file.stat().st_size if file.exists() else 0

    def read_from(self, name: str, offset: int) -> str:
        """Return the log of a program from `offset` bytes on."""
        with self.file(name).open("rb") as stream:
            stream.seek(offset)
            return stream.read().decode(errors="replace")

    def last_lines(self, name: str, count: int = 15) -> str:
        text = self.read_from(name, max(0, self.size(name) - TAIL_BYTES)) if self.size(name) else ""
        return "\n".join(text.splitlines()[-count:])

    def rotate(self) -> None:
        """Copy a large log to NAME.log.1 and truncate it; the program keeps it open."""
        for file in self._folder.glob("*.log"):
            if file.stat().st_size > MOST_BYTES:
                fresh = file.with_name(f"{file.name}.new")
                shutil.copyfile(file, fresh)
                fresh.replace(file.with_name(f"{file.name}.1"))
                os.truncate(file, 0)
        self._drop_unread()

    def _drop_unread(self) -> None:
        """Remove the gateway's oldest records beyond the limit, which pile up while logs-service is down."""
        total = 0
        # The files are named after their minute.
        for file in sorted(self.records.glob("*.log"), reverse=True):
            with suppress(FileNotFoundError):
                total += file.stat().st_size
                if total > MOST_RECORD_BYTES:
                    file.unlink()
