"""Post exports concurrently to a logs-service in this process; print the statuses and the peak memory.

A test runs this as a separate process: `python -m tests.logs.measure_hostile DATABASE_URL FOLDER`.
"""

import json
import logging
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from logs.app import create_app
from logs.config import Settings
from tests.fakes import FakeAuth

AT_ONCE = 16  # As many threads as the service has.
BUSY = 503


def main() -> None:
    """Post each file of the folder, retry while the service is busy, and print the result as JSON."""
    auth = FakeAuth()
    settings = Settings(
        service="logs-service", database_url=sys.argv[1], auth_url="http://127.0.0.1:9", client_secret="s"
    )
    app = create_app(settings, auth)
    logging.disable()
    writer = auth.bearer(role="service", client_id="app-till", scope="logs:write")

    def post(file: Path) -> tuple[str, Any]:
        media_type = "application/json" if file.suffix == ".json" else "application/x-protobuf"
        headers = {"Content-Type": media_type, "Content-Encoding": "gzip", **writer}
        while True:
            answer = app.test_client().post("/v1/logs", data=file.read_bytes(), headers=headers)
            if answer.status_code != BUSY:
                return file.stem, answer.status_code

    before = read_peak()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        statuses = dict(threads.map(post, sorted(Path(sys.argv[2]).iterdir())))
    app.close()
    sys.stdout.write(json.dumps({"statuses": statuses, "before": before, "peak": read_peak()}))


def read_peak() -> float:
    """Return the peak memory of the process in MiB; `getrusage` would include that of its parent."""
    [peak] = re.findall(r"VmHWM:\s*([0-9]+) kB", Path("/proc/self/status").read_text())
    return int(peak) / 1024


if __name__ == "__main__":
    main()
