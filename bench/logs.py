"""Log records: how many a second one replica takes, and how long a search among millions of them lasts.

LOG_RECORDS is the number of records for the searches; a record takes some 800 bytes on disk.
"""

import gzip
import os
import time
import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any

import requests
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from bench.errors import CannotMeasure
from bench.load import Call, Load, Plan, Script, follow, run_load
from bench.past_records import DAYS, make_questions, write_past_records
from bench.report import table
from bench.shop import Shop, say
from bench.statistics import quantile

SENDERS = 4
EXPORT = 512  # Records of one export, as our services send them.
EXPORTS = 250  # Exports that are made beforehand; where they end, the measurement ends.
ROUNDS = 60  # Questions of each kind, each another one.


def measure(shop: Shop, seconds: float) -> dict[str, Any]:
    """Return the numbers of the exports, and of the searches; raises CannotMeasure."""
    count = read_count(os.environ)
    headers = {"Authorization": f"Bearer {_log_in(shop)}"}
    at_rest = shop.measure_memory()["logs-service"].pss_mib
    ingest = measure_ingest(shop, headers, seconds)
    ingest["memory"] = {"at_rest": at_rest, "after": shop.measure_memory()["logs-service"].pss_mib}
    say(f"Writing {count} records …")
    disk = write_past_records(shop, headers, count)
    # A token lives for a quarter of an hour, and writing may take longer.
    headers = {"Authorization": f"Bearer {_log_in(shop)}"}
    questions = _measure_questions(shop, headers, count)
    return {"count": count, "ingest": ingest, "disk": disk, "questions": questions}


def read_count(environment: Mapping[str, str]) -> int:
    """Return the number of records for the searches."""
    text = environment.get("LOG_RECORDS") or "1000000"
    if not text.isdecimal() or not 1000 <= int(text) <= 1_000_000_000:
        raise CannotMeasure(f"LOG_RECORDS is {text!r}; it must be a number from 1000 on.")
    return int(text)


def _log_in(shop: Shop) -> str:
    answer = requests.post(f"{shop.url}/auth", json={"username": "admin", "password": "admin"}, timeout=10)
    if answer.status_code != 200:
        raise CannotMeasure(f"The admin cannot log in: {answer.text}")
    return str(answer.json()["access_token"])


def measure_ingest(shop: Shop, headers: Mapping[str, str], seconds: float) -> dict[str, Any]:
    """Return how many records a second one replica accepts, and the latencies of the exports."""
    say(f"ingest, {SENDERS} senders …")
    url = shop.services["logs-service"]["url"]
    [found] = run_load(Plan(url, seconds, partial(_make_senders, headers, EXPORTS)))
    times = [answer.milliseconds for answer in found.answers if answer.status == 200]
    return {
        "rate": round(len(times) * EXPORT / max(answer.second for answer in found.answers)),
        "exports": len(times),
        "refused": len(found.answers) - len(times),
        "export_bytes": len(make_export(time.time_ns())),
        "p50": quantile(times, 0.5),
        "p99": quantile(times, 0.99),
    }


def _make_senders(headers: Mapping[str, str], count: int, _load: Load) -> list[Script]:
    """Make all exports, and return clients that share them."""
    headers = {**headers, "Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
    bodies = [make_export(time.time_ns()) for _ in range(count)]
    exports = iter([Call("POST", "/v1/logs", headers=headers, data=body) for body in bodies])
    return [follow(exports) for _ in range(SENDERS)]


def make_export(now: int) -> bytes:
    """Return an export as our services send it: protobuf, compressed."""
    export = ExportLogsServiceRequest()
    sender = export.resource_logs.add()
    sender.resource.attributes.add(key="service.name").value.string_value = "bench"
    sender.resource.attributes.add(key="service.instance.id").value.string_value = "bench"
    group = sender.scope_logs.add()
    for place in range(EXPORT):
        work, moment = uuid.uuid4(), now + place * 1000
        record = group.log_records.add(time_unix_nano=moment, observed_time_unix_nano=moment)
        record.severity_number, record.severity_text = 9, "INFO"
        record.trace_id, record.span_id = work.bytes, work.bytes[:8]
        record.body.string_value = f"GET /orders/{{order_id}} {200 + place % 5}"
        for key, value in {
            "log.record.uid": _make_uuid7(moment),
            "request.id": work.hex,
            "order.id": str(work),
            "http.request.method": "GET",
            "http.route": "/orders/{order_id}",
            "user.id": str(work),
            "user.role": "customer",
        }.items():
            record.attributes.add(key=key).value.string_value = value
        record.attributes.add(key="http.response.status_code").value.int_value = 200
        record.attributes.add(key="duration_ms").value.double_value = place / 7
    return gzip.compress(export.SerializeToString(), 1)


def _make_uuid7(nanoseconds: int) -> str:
    rest = uuid.uuid4().int & (1 << 76) - 1
    high = nanoseconds // 1_000_000 << 80 | 0x7 << 76
    return str(uuid.UUID(int=high | rest & ~(0b11 << 62) | 0b10 << 62))


def _measure_questions(shop: Shop, headers: Mapping[str, str], count: int) -> list[dict[str, Any]]:
    """Return the latencies of each kind of question through the gateway."""
    asked = []
    with requests.Session() as session:
        session.headers.update(headers)
        for title, questions in make_questions(count).items():
            say(f"{title} …")
            milliseconds, found = [], 0
            for _, path in zip(range(ROUNDS), questions, strict=False):
                began = time.perf_counter()
                answer = session.get(shop.url + path, timeout=60)
                milliseconds.append((time.perf_counter() - began) * 1000)
                if answer.status_code != 200:
                    raise CannotMeasure(f"{path} was answered with {answer.status_code}: {answer.text[:200]}")
                found += len(answer.json()["data"])
            p50, p99 = quantile(milliseconds, 0.5), quantile(milliseconds, 0.99)
            asked.append({"title": title, "p50": p50, "p99": p99, "found": round(found / ROUNDS, 1)})
    return asked


def render(results: Mapping[str, Any]) -> list[str]:
    """Return the tables."""
    ingest, disk = results["ingest"], results["disk"]
    row = ["`POST /v1/logs`", *(ingest[name] for name in ("rate", "p50", "p99", "refused"))]
    questions = [[each[name] for name in ("title", "found", "p50", "p99")] for each in results["questions"]]
    return [
        f"Log records: {EXPORT} an export of {ingest['export_bytes'] / 1024:.0f} KiB (protobuf, gzip), "
        f"{SENDERS} senders, one replica.",
        "",
        *table(
            "ingest | records a second | p50 ms | p99 ms | refused | MiB at rest | MiB after",
            [[*row, *ingest["memory"].values()]],
        ),
        "",
        f"Among {results['count']} records of {DAYS} days, {disk['bytes']} bytes each on disk "
        f"({disk['heap_bytes']} without indexes), through the gateway, {ROUNDS} questions of each kind:",
        "",
        *table("question | found | p50 ms | p99 ms", questions),
    ]
