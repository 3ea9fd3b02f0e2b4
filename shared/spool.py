"""A spool of log records that wait on disk to be shipped, and so survive their process.

A spool is a folder that the replicas of a service share. Each process appends to its own file and keeps a
lock on it. A file without a lock was left behind by a process that died; the next process that finds it takes
it over.

A file is an OTLP `ResourceLogs` message (opentelemetry-proto, logs/v1): the resource, then a `ScopeLogs` for
each record. It needs no index, because any number of complete fields is a valid message.
"""

import fcntl
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from shared.ids import new_id

SUFFIX = ".spool"
SEGMENT = 1024 * 1024  # Bytes at which a file is full and the next one begins.
LARGEST = 128 * 1024  # Bytes of one record.
BEGUN_WITHIN = 60.0  # Seconds after which the process of a file that is still hidden must have died.

# The protobuf tags of the fields of ResourceLogs. A field is a tag, a length and the contents.
RESOURCE, SCOPE_LOGS = b"\x0a", b"\x12"


@dataclass(eq=False)
class _Segment:
    """A file that this process has locked."""

    path: Path
    descriptor: int
    size: int
    shipped: int  # Bytes that are done, including the resource.
    header: bytes
    records: int = 0  # Records that wait.


@dataclass(frozen=True)
class Batch:
    """Records to ship together: an encoded ResourceLogs, the number of records, and their end in the file."""

    resource_logs: bytes
    count: int
    _segment: _Segment
    _end: int


class SpoolFull(Exception):
    """The folder has reached its limit, or the disk is full or not writable."""


class RecordTooLarge(Exception):
    """A record exceeds the size limit."""


class Spool:
    """A folder of records. `append` is thread-safe; one thread calls the other methods."""

    def __init__(self, folder: Path, resource: bytes, *, most_bytes: int) -> None:
        self._folder = folder
        self._header = frame(RESOURCE, resource)
        self._most_bytes = most_bytes
        # Reentrant, because a signal handler may log while its thread is logging.
        self._lock = threading.RLock()
        self._current: _Segment | None = None
        self._full: deque[_Segment] = deque()
        self._bytes = 0
        self._others_bytes = 0
        self._closed = False
        # A disk that is not writable must not keep a service from starting; `append` reports it.
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)

    def append(self, scope_logs: bytes, *, urgent: bool = False) -> None:
        """Write a record, an encoded ScopeLogs, so that it survives this process.

        An urgent record may exceed the limit of the folder. Raises RecordTooLarge or SpoolFull.
        """
        record = frame(SCOPE_LOGS, scope_logs)
        if len(record) > LARGEST:
            raise RecordTooLarge
        with self._lock:
            is_full = self._bytes + self._others_bytes + len(record) > self._most_bytes
            if self._closed or (is_full and not urgent):
                raise SpoolFull
            try:
                segment = self._current or self._begin()
                _write(segment, record)
            except OSError as error:
                raise SpoolFull from error
            self._bytes += len(record)
            segment.records += 1
            if segment.size >= SEGMENT:
                self._full.append(segment)
                self._current = None

    def take(self, *, most_records: int, most_bytes: int) -> Batch | None:
        """Return the oldest waiting records of one file, or None. They stay in the file until `done`."""
        with self._lock:
            segment = self._full[0] if self._full else self._current
            if segment is None:
                return None
            waiting = os.pread(segment.descriptor, max(most_bytes, LARGEST), segment.shipped)
        count, end = 0, 0
        for boundary in find_boundaries(waiting):
            count, end = count + 1, boundary
            if count == most_records:
                break
        if count:
            return Batch(segment.header + waiting[:end], count, segment, segment.shipped + end)
        if segment is self._current:
            return None
        # The rest of the file is an incomplete record, whose writer was killed during the write.
        self.done(Batch(b"", segment.records, segment, segment.size))
        return self.take(most_records=most_records, most_bytes=most_bytes)

    def done(self, batch: Batch) -> None:
        """Remove records that were shipped or given up."""
        segment = batch._segment
        with self._lock:
            if self._closed:
                return
            self._bytes -= batch._end - segment.shipped
            segment.shipped = batch._end
            segment.records -= batch.count
            if segment.shipped < segment.size:
                return
            if segment is self._current:
                # All records are shipped: empty the file, so that none is shipped again after a crash.
                segment.size = segment.shipped = len(segment.header)
                with suppress(OSError):
                    os.ftruncate(segment.descriptor, segment.size)
            else:
                self._full.remove(segment)
                _remove(segment)

    def adopt(self) -> int:
        """Take over the files of dead processes; return the bytes in files of other live processes."""
        others = 0
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            with self._lock:
                if any(path == mine.path for mine in self._mine()):
                    continue
                with suppress(OSError):
                    if segment := _open_orphan(path):
                        self._full.appendleft(segment)
                        self._bytes += segment.size - segment.shipped
                    else:
                        others += path.stat().st_size
        self._others_bytes = others
        self._remove_unbegun()
        return others

    @property
    def waiting_bytes(self) -> int:
        """Return the number of bytes that this process has to ship."""
        return self._bytes

    @property
    def waiting_records(self) -> int:
        """Return the number of records that this process has to ship."""
        with self._lock:
            return sum(segment.records for segment in self._mine())

    def close(self) -> None:
        """Close the files, and leave waiting records to the next process."""
        with self._lock:
            self._closed = True
            for segment in self._mine():
                if segment.shipped >= segment.size:
                    _remove(segment)
                else:
                    os.close(segment.descriptor)
            self._current = None
            self._full.clear()

    def _remove_unbegun(self) -> None:
        """Remove files whose process died before it had written to them."""
        for path in self._folder.glob(".*"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > BEGUN_WITHIN:
                    path.unlink()

    def _mine(self) -> list[_Segment]:
        return [*self._full, *([self._current] if self._current else [])]

    def _begin(self) -> _Segment:
        """Create a file, and lock it before other processes can find it."""
        name = new_id().hex
        hidden = self._folder / f".{name}"
        descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        segment = _Segment(self._folder / f"{name}{SUFFIX}", descriptor, 0, len(self._header), self._header)
        try:
            _write(segment, self._header)
            hidden.rename(segment.path)
        except OSError:
            hidden.unlink(missing_ok=True)
            os.close(descriptor)
            raise
        self._current = segment
        return segment


def frame(tag: bytes, contents: bytes) -> bytes:
    """Return a protobuf field: tag, length, contents."""
    length, written = len(contents), bytearray(tag)
    while length > 0x7F:
        written.append(length & 0x7F | 0x80)
        length >>= 7
    written.append(length)
    return bytes(written) + contents


def find_boundaries(data: bytes) -> Iterator[int]:
    """Yield the end position of each complete field in `data`."""
    position = 0
    while True:
        length = shift = 0
        index = position + 1
        while index < len(data):
            byte = data[index]
            length |= (byte & 0x7F) << shift
            index, shift = index + 1, shift + 7
            if byte < 0x80:
                break
        else:
            return
        position = index + length
        if position > len(data):
            return
        yield position


def _write(segment: _Segment, data: bytes) -> None:
    """Append all of `data` or nothing; raise OSError."""
    written = os.write(segment.descriptor, data)
    if written < len(data):
        os.ftruncate(segment.descriptor, segment.size)
        raise OSError(f"Only {written} of {len(data)} bytes were written.")
    segment.size += written


def _open_orphan(path: Path) -> _Segment | None:
    """Lock and return a file; return None if another process has the lock."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    contents = os.pread(descriptor, SEGMENT + LARGEST, 0)
    boundaries = list(find_boundaries(contents))
    size, names = os.fstat(descriptor).st_size, os.fstat(descriptor).st_nlink
    if names == 0:
        # Its owner removed it between `open` and `flock`.
        os.close(descriptor)
        return None
    start = boundaries[0] if boundaries else size
    segment = _Segment(path, descriptor, size, start, contents[:start], max(len(boundaries) - 1, 0))
    if start >= size:
        _remove(segment)
        return None
    return segment


def _remove(segment: _Segment) -> None:
    segment.path.unlink(missing_ok=True)
    os.close(segment.descriptor)
