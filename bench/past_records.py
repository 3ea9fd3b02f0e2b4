"""Log records of two weeks, as rows that the database generates, and questions about them."""

import hashlib
import math
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import requests
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from bench.errors import CannotMeasure
from bench.shop import Shop

DAYS = 14
BARS = "/logs/histogram?bars"
ORDER = 20  # Records of one order.
COMMON, RARE = "checkout", "needle"

# In the shapes that our services write.
PAST = """
    INSERT INTO records (time, id, observed_time, service, instance, severity_number, message, trace_id,
                         span_id, request_id, order_id, attributes)
    SELECT time, (lpad(to_hex((extract(epoch FROM time) * 1000)::bigint), 12, '0') || '70008000'
                  || lpad(to_hex(n), 12, '0'))::uuid, time,
           (ARRAY['gateway', 'auth-service', 'catalog-service', 'orders-service',
                  'payments-service'])[1 + n %% 5],
           'replica-' || n %% 7,
           CASE WHEN n %% 1000 = 0 THEN 17 WHEN n %% 100 = 0 THEN 13 ELSE 9 END,
           CASE WHEN n %% 10 = 0 THEN 'The checkout of order ' || n / %(order)s || ' moved on'
                WHEN n %% 10007 = 0 THEN 'A needle' || n || ' was lost'
                ELSE (ARRAY['GET', 'POST', 'PUT'])[1 + n %% 3] || ' /orders/{order_id} ' || 200 + n %% 5 END,
           md5((n / 4)::text)::uuid, left(md5(n::text), 16), md5((n / 4)::text),
           CASE WHEN n %% 2 = 0 THEN md5('order' || n / %(order)s)::uuid END,
           jsonb_build_object('http.request.method', 'GET', 'http.route', '/orders/{order_id}',
                              'http.response.status_code', 200 + n %% 5, 'duration_ms', n %% 97,
                              'user.id', md5((n %% 1000)::text), 'user.role', 'customer')
    FROM (SELECT n, date_trunc('second', now()) - n * (interval '%(days)s days' / %(count)s) AS time
          FROM generate_series(%(first)s, %(last)s) AS n) AS moments
"""
COUNTS = """
    INSERT INTO record_counts SELECT date_trunc('minute', time), service, severity_number, count(*)
    FROM records GROUP BY 1, 2, 3
"""
SIZES = "SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = 'records'::regclass"
HEAPS = "SELECT sum(pg_table_size(inhrelid)) FROM pg_inherits WHERE inhparent = 'records'::regclass"


def write_past_records(shop: Shop, headers: Mapping[str, str], count: int) -> dict[str, Any]:
    """Write records, evenly over the days up to now; return the bytes that each takes."""
    # The service creates a partition for each day that it gets a record of.
    export = ExportLogsServiceRequest()
    group = export.resource_logs.add().scope_logs.add()
    for day in range(DAYS + 1):
        group.log_records.add(time_unix_nano=time.time_ns() - day * 86_400 * 1_000_000_000 + 60_000_000_000)
    answer = requests.post(
        f"{shop.url}/v1/logs",
        data=export.SerializeToString(),
        headers={**headers, "Content-Type": "application/x-protobuf"},
        timeout=30,
    )
    if answer.status_code != 200:
        raise CannotMeasure(f"logs-service refused the records: {answer.status_code}")
    shop.run_sql("logs", "TRUNCATE records, record_counts")
    step = math.ceil(count / DAYS)
    for first in range(1, count + 1, step):
        last = min(first + step - 1, count)
        # The numbers are written into the statement, because half of them stand inside of texts.
        values = {"order": ORDER, "days": DAYS, "count": count, "first": first, "last": last}
        shop.run_sql("logs", PAST % values)
    shop.run_sql("logs", COUNTS)
    shop.run_sql("logs", "VACUUM ANALYZE")
    bytes_used, heap_bytes = (round(int(shop.run_sql("logs", each)) / count) for each in (SIZES, HEAPS))
    return {"bytes": bytes_used, "heap_bytes": heap_bytes}


def make_questions(count: int) -> dict[str, Iterator[str]]:
    """Return endless questions of each kind, no two the same."""

    def spread() -> Iterator[int]:
        place = 0
        while True:
            place = (place + count * 618 // 1000) % count
            yield place + 1

    def digest(text: str) -> str:
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    def moment(place: int) -> str:
        then = time.time() - place * DAYS * 86_400 / count
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(then))

    week, everything = moment(count // 2), moment(count)
    kinds: dict[str, Callable[[int], str]] = {
        "one order's story": lambda n: f"/logs?limit=100&order_id={uuid.UUID(digest(f'order{n // ORDER}'))}",
        "one trace": lambda n: f"/logs?limit=100&trace_id={digest(str(n // 4))}",
        "one request": lambda n: f"/logs?limit=100&request_id={digest(str(n // 4))}",
        "newest of a service, until a moment": lambda n: f"/logs?service=orders-service&until={moment(n)}",
        "newest errors, until a moment": lambda n: f"/logs?level=ERROR&until={moment(n)}",
        "a rare word": lambda n: f"/logs?q={RARE}{n // 10007 * 10007}",
        "a common word, until a moment": lambda n: f"/logs?q={COMMON}&until={moment(n)}",
        "two words, one common and one rare": lambda n: f"/logs?q={COMMON}+{n // ORDER}",
        "a common word of one service": lambda n: f"/logs?q={COMMON}&service=gateway&until={moment(n)}",
        "a word of no record": lambda n: f"/logs?q=nobody{n}",
        "a common word of no record of the service": lambda n: f"/logs?q={COMMON}&service=nobody{n}",
        "histogram of a week": lambda n: f"{BARS}={20 + n % 50}&since={week}",
        "histogram of all, by service": lambda n: f"{BARS}={20 + n % 50}&service=gateway&since={everything}",
        "histogram of a rare word": lambda n: f"{BARS}=60&q={RARE}{n // 10007 * 10007}&since={everything}",
        "histogram of a common word": lambda n: f"{BARS}=60&q={COMMON}&since={moment(n)}",
    }
    return {title: map(write, spread()) for title, write in kinds.items()}
