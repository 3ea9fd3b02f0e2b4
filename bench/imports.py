"""How long a whole catalogue takes to come in and to go out, and how much memory that takes."""

import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from http.client import HTTPResponse
from typing import IO, Any

from bench.catalog import Catalog
from bench.looking import looking
from bench.memory import measure_memory
from bench.report import table_of

ROWS = 1_000_000
LOOK_EVERY = 0.1  # Seconds.
SHARE = 0.1  # Of the rows change in the second import.
WORDS = ["oak", "linen", "copper", "river", "winter", "plain", "round", "harbour", "amber", "moss", "slate"]


def measure(catalog: Catalog, _seconds: float) -> dict[str, Any]:
    """Return a row for each import and for the export; raises CannotMeasure."""
    number = int(os.environ.get("ROWS") or ROWS)
    rows = []
    for name, step in (("import of new products", 0), ("import again, one in ten changed", 1)):
        with tempfile.TemporaryFile() as file:
            file.writelines(make_rows(number, step))
            file.seek(0)
            rows.append({"scenario": name, "rows": number, **load(catalog, file)})
    rows.append({"scenario": "export", "rows": number, **export(catalog)})
    return {"rows": rows}


def render(results: Mapping[str, Any]) -> list[str]:
    """Return the table."""
    title = "A whole catalogue in and out of one process of catalog-service; memory (PSS) in MiB:"
    return [title, "", *table_of(results["rows"])]


def make_rows(number: int, step: int) -> Iterator[bytes]:
    """Yield products of about half a kilobyte; one in ten has another price in each step."""
    for row in range(number):
        some = [WORDS[row * prime % len(WORDS)] for prime in (3, 5, 7)]
        product = {
            "sku": f"BENCH-{row:08}",
            "title": f"{some[0].title()} {some[1]} {some[2]} no. {row}",
            "brand": f"Brand {row % 500}",
            "category": f"category {row % 40}",
            "unit_amount": 100 + row % 9900 + (step if row % int(1 / SHARE) == 0 else 0),
            "description": " ".join([*some, "made for every day"] * 8),
            "rating": row % 50 / 10,
            "images": [f"/images/bench-{row}.svg"],
            "on_hand": row % 100,
        }
        yield json.dumps(product).encode() + b"\n"


def load(catalog: Catalog, body: IO[bytes]) -> dict[str, Any]:
    """Import a file; return seconds, rows a second and the memory of the process."""
    headers = {**catalog.headers, "Content-Type": "application/x-ndjson"}
    size = os.fstat(body.fileno()).st_size
    headers["Content-Length"] = str(size)
    memory = Peak(catalog.pid)
    with looking(memory.look, LOOK_EVERY), closing(catalog.connect()) as connection:
        began = time.perf_counter()
        connection.request("POST", "/products/import", body, headers)
        sent = time.perf_counter() - began
        last = read_last_line(connection.getresponse())
        seconds = time.perf_counter() - began
    if last["status"] != "done":
        raise RuntimeError(f"The import ended with {last}.")
    return {
        "megabytes": round(size / 2**20, 1),
        "sent": round(sent, 1),
        **_sum_up(last["rows"], seconds, memory),
    }


def export(catalog: Catalog) -> dict[str, Any]:
    """Export all there is; return seconds, rows a second and the memory of the process."""
    memory = Peak(catalog.pid)
    with looking(memory.look, LOOK_EVERY), closing(catalog.connect()) as connection:
        began, size, rows = time.perf_counter(), 0, 0
        connection.request("GET", "/products/export", headers=catalog.headers)
        answer = connection.getresponse()
        while chunk := answer.read1(1 << 20):
            size += len(chunk)
            rows += chunk.count(b"\n")
        seconds = time.perf_counter() - began
    return {"megabytes": round(size / 2**20, 1), "sent": None, **_sum_up(rows, seconds, memory)}


def read_last_line(answer: HTTPResponse) -> dict[str, Any]:
    """Return the last line of an answer; raise RuntimeError if it is a refusal."""
    if answer.status != 200:
        raise RuntimeError(f"The import was refused: {answer.status} {answer.read(2000)!r}")
    last: dict[str, Any] = {}
    for line in answer:
        last = json.loads(line)
    return last


class Peak:
    """The memory (PSS) of a process and its children, in MiB: `before`, and the `most` seen since."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.before = self.most = measure_memory(pid).pss_mib

    def look(self) -> None:
        """Measure once more."""
        self.most = max(self.most, measure_memory(self._pid).pss_mib)


def _sum_up(rows: int, seconds: float, memory: Peak) -> dict[str, Any]:
    return {
        "seconds": round(seconds, 1),
        "rate": round(rows / seconds),
        "memory_before": memory.before,
        "memory_peak": memory.most,
    }
