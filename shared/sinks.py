"""Where shipped log records go: a callable that takes an export and keeps it, or says why not."""

from collections.abc import Callable

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # It has no types.
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from shared.errors import Problem
from shared.http import HttpClient

PROTOBUF = "application/x-protobuf"

# It stores an ExportLogsServiceRequest and returns how many of its records were rejected; it raises a Problem
# with the status 400 or 413 to refuse the export for good, and anything else to be asked again.
Sink = Callable[[bytes], int]

Token = Callable[[], str]


class ExportRefused(Problem):
    """logs-service did not take an export; the status is its answer's."""

    def __init__(self, status: int, retry_after: str) -> None:
        super().__init__(f"it answered {status}")
        self.status = status
        self.headers = {"Retry-After": retry_after}


class LogsServiceSink:
    """logs-service, or whatever else takes OTLP/HTTP.

    `token` returns the access token to present, and may raise a Problem. `forget` is told of one that was
    refused, so that the next is another.
    """

    def __init__(self, url: str, token: Token, forget: Callable[[str], None] = lambda _token: None) -> None:
        self._http = HttpClient(url, timeout=(1.0, 5.0), pool=1, retries=0)
        self._token = token
        self._forget = forget

    def __call__(self, export: bytes) -> int:
        """Post an export; return how many were rejected; raise ExportRefused or ServiceUnreachable."""
        token = self._token()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": PROTOBUF}
        answer = self._http.request("POST", "/v1/logs", body=export, headers=headers)
        if answer.status_code == 401:
            # It ended before its time, as when its key is retired.
            self._forget(token)
        if answer.status_code != 200:
            raise ExportRefused(answer.status_code, answer.headers.get("Retry-After", ""))
        try:
            taken = ExportLogsServiceResponse.FromString(answer.content)
        except DecodeError:
            return 0
        return int(taken.partial_success.rejected_log_records)
