"""Destinations of shipped log records: a sink stores an export or raises an error."""

from collections.abc import Callable

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # It has no types.
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from shared.errors import Problem
from shared.http import HttpClient

PROTOBUF = "application/x-protobuf"

# A sink stores an ExportLogsServiceRequest and returns the number of rejected records. It raises a Problem
# with status 400 or 413 to refuse the export permanently; after any other error the caller retries.
Sink = Callable[[bytes], int]

Token = Callable[[], str]


class ExportRefused(Problem):
    """logs-service refused an export; the status is that of its response."""

    def __init__(self, status: int, retry_after: str) -> None:
        super().__init__(f"it answered {status}")
        self.status = status
        self.headers = {"Retry-After": retry_after}


class LogsServiceSink:
    """logs-service, or another server that accepts OTLP/HTTP.

    `token` returns the access token to send, and may raise a Problem. `forget` discards a refused token, so
    that `token` returns a new one.
    """

    def __init__(self, url: str, token: Token, forget: Callable[[str], None] = lambda _token: None) -> None:
        self._http = HttpClient(url, timeout=(1.0, 5.0), pool=1, retries=0)
        self._token = token
        self._forget = forget

    def __call__(self, export: bytes) -> int:
        """Send an export; return the number of rejected records.

        Raises ExportRefused or ServiceUnreachable.
        """
        token = self._token()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": PROTOBUF}
        answer = self._http.request("POST", "/v1/logs", body=export, headers=headers)
        if answer.status_code == 401:
            # The token became invalid early, for example because its key was retired.
            self._forget(token)
        if answer.status_code != 200:
            raise ExportRefused(answer.status_code, answer.headers.get("Retry-After", ""))
        try:
            taken = ExportLogsServiceResponse.FromString(answer.content)
        except DecodeError:
            return 0
        return int(taken.partial_success.rejected_log_records)
