"""Log files: a file for each program, appended to by the program itself and kept small from here."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

MOST_BYTES = 20 * 1024 * 1024
MOST_RECORD_BYTES = 96 * 1024 * 1024
TAIL_BYTES = 16 * 1024


class Logs:
    """The folder STATE/log; in it `records`, where the gateway writes what logs-service reads and removes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.records = folder / "records"
        folder.mkdir(parents=True, exist_ok=True)

    def file(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def open(self, name: str) -> int:
        """Return a descriptor that appends, so that its program goes on at the start of a truncated file."""
        return os.open(self.file(name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def size(self, name: str) -> int:
        file = self.file(name)
        return file.stat().st_size if file.exists() else 0

    def read_from(self, name: str, offset: int) -> str:
        """Return what a program has written since its log was `offset` bytes long."""
        with self.file(name).open("rb") as stream:
            stream.seek(offset)
            return stream.read().decode(errors="replace")

    def last_lines(self, name: str, count: int = 15) -> str:
        text = self.read_from(name, max(0, self.size(name) - TAIL_BYTES)) if self.size(name) else ""
        return "\n".join(text.splitlines()[-count:])

    def rotate(self) -> None:
        """Copy a log that has grown large to NAME.log.1 and empty it; the programs keep it open."""
        for file in self._folder.glob("*.log"):
            if file.stat().st_size > MOST_BYTES:
                fresh = file.with_name(f"{file.name}.new")
                shutil.copyfile(file, fresh)
                fresh.replace(file.with_name(f"{file.name}.1"))
                os.truncate(file, 0)
        self._drop_unread()

    def _drop_unread(self) -> None:
        """Remove the oldest of the gateway's records beyond their limit: logs-service must have been away."""
        total = 0
        # Their names are their minutes.
        for file in sorted(self.records.glob("*.log"), reverse=True):
            with suppress(FileNotFoundError):
                total += file.stat().st_size
                if total > MOST_RECORD_BYTES:
                    file.unlink()
