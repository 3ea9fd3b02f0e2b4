"""The receiver of docs/webhooks.md works as it is printed."""

import re
import threading
from contextlib import contextmanager
from datetime import timedelta

import pytest
from werkzeug.serving import make_server

from tests.orders.receivers import add_webhook, list_deliveries, wait_for_state
from tests.stacks import ROOT
from tests.waiting import wait_for

PROGRAM = re.compile(r"```python\n(.*?)```", re.DOTALL)


@contextmanager
def run_printed_receiver():
    """Run the page's program; yield its URL."""
    [program] = PROGRAM.findall((ROOT / "docs" / "webhooks.md").read_text(encoding="utf-8"))
    names = {"__name__": "receiver"}
    exec(compile(program, "webhooks.md", "exec"), names)  # noqa: S102  # It is ours.
    server = make_server("127.0.0.1", 0, names["app"], threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/shop"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def is_repeated(admin, webhook):
    return [each for each in list_deliveries(admin, webhook, "?state=sent") if each["attempt_count"] == 2]


@pytest.fixture(autouse=True)
def quiet_flask(monkeypatch):
    """Keep werkzeug from logging requests."""
    monkeypatch.setattr("werkzeug.serving.WSGIRequestHandler.log", lambda *_args: None)


def test_the_printed_receiver_takes_each_message_once_and_no_forged_one(admin, monkeypatch, capsys):
    with run_printed_receiver() as url:
        webhook = add_webhook(admin, url)
        path = f"/webhooks/{webhook['id']}"
        monkeypatch.setenv("SECRET", webhook["secret"])
        sent = admin.post(f"{path}/ping").json
        wait_for_state(admin, webhook, "sent")
        admin.post(f"{path}/deliveries/{sent['id']}/redeliver")
        wait_for(lambda: is_repeated(admin, webhook))
        printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("ping")]
        assert printed == [f"ping {{'webhook_id': '{webhook['id']}'}}"]
        # A receiver with another secret refuses.
        monkeypatch.setenv("SECRET", "whsec_" + "YWJj" * 11)
        monkeypatch.setattr("shared.outbox.FIRST_WAIT", timedelta())
        admin.post(f"{path}/ping")
        [refused] = wait_for_state(admin, webhook, "dead")
        assert refused["attempts"][-1]["status"] == 401
