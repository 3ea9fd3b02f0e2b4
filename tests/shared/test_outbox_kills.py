"""Replicas that send messages are killed: no message is lost or overtaken, and a repeated one has its id."""

import json
import random
import time
from collections import defaultdict
from contextlib import closing
from itertools import pairwise

import pytest

from shared.database import connect
from shared.settings import ServiceSettings
from tests.conftest import send_json
from tests.shared.outbox_replica import POINTS, start_replica
from tests.shared.outboxes import Outbox
from tests.waiting import wait_for

ENDPOINTS = [f"endpoint-{number}" for number in range(6)]
# The receiver has the message, and the outbox does not know it.
BETWEEN_SEND_AND_RECORD = {"after send", "before record_attempt"}


@pytest.fixture
def url(reuse_database):
    return reuse_database("orders-service")


@pytest.fixture
def box(url):
    settings = ServiceSettings(service="orders-service", database_url=url)
    with closing(connect(settings)) as database:
        yield Outbox(database)


@pytest.fixture
def running():
    """The running replicas by their marks."""
    running = {}
    yield running
    for process in running.values():
        kill(process)


class Receiver:
    """The messages that a server accepted; it fails now and then."""

    def __init__(self, server, *, failures=0.0):
        self.port = server.server.server_port
        self.accepted = []
        self._chance = random.Random(7)  # noqa: S311  # A test needs no secrets.
        self._failures = failures
        server.answer = self._answer

    def _answer(self, handler, body):
        message = json.loads(body)
        time.sleep(self._chance.random() / 100)
        failure = self._chance.random()
        if failure < self._failures / 2:
            handler.close_connection = True
        elif failure < self._failures:
            send_json(handler, b"{}", status=503)
        else:
            self.accepted.append(message)
            send_json(handler, b"{}")

    def group(self):
        """Return the accepted messages of each subject of each endpoint: numbers, ids and replicas."""
        groups = defaultdict(list)
        for message in list(self.accepted):
            key = message["endpoint"], message["subject"]
            groups[key].append((message["number"], message["id"], message["replica"]))
        return groups


def kill(process):
    process.kill()
    process.join()


def free_leases(box, running=()):
    """Let the time pass for the leases of killed replicas, whose last statement may still be in progress."""
    box.sql(
        "UPDATE outbox_endpoints SET lease_until = now() - interval '1 second'"
        " WHERE lease_token IS NOT NULL AND NOT substr(lease_token::text, 1, 8) = ANY (:running)",
        running=list(running),
    )


def check(receiver, box, sent):
    """Check that every message arrived, in its order, and always with the id that it has in the outbox."""
    ids = {str(row.id): row.number for row in box.sql("SELECT id, data->'number' AS number FROM outbox")}
    groups = receiver.group()
    assert sum(len({number for number, _, _ in each}) for each in groups.values()) == sent
    for key, messages in groups.items():
        numbers = [number for number, _, _ in messages]
        assert numbers == sorted(numbers), key
        assert all(ids[message_id] == number for number, message_id, _ in messages), key
        assert len({message_id for _, message_id, _ in messages}) == len(set(numbers)), key


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_any_point_loses_nothing_and_repeats_only_what_was_not_recorded(
    url, box, fake_server, running, point
):
    receiver = Receiver(fake_server)
    box.add_endpoints("e")
    box.add_many("e", subjects=2, each=3)
    running["00000001"] = start_replica(url, receiver.port, mark="00000001", dies=point)
    running["00000001"].join(30)
    assert running["00000001"].exitcode == -9, "the replica did not come to this point"
    free_leases(box)
    running["00000002"] = start_replica(url, receiver.port, mark="00000002")

    def is_done():
        free_leases(box, ["00000002"])
        return box.count() == 0

    wait_for(is_done)
    check(receiver, box, 6)
    assert len(receiver.accepted) == 6 + (point in BETWEEN_SEND_AND_RECORD)


@pytest.mark.parametrize("kills", [15, pytest.param(200, marks=pytest.mark.long)])
def test_replicas_that_are_killed_again_and_again_send_every_message_in_order(
    url, box, fake_server, running, kills
):
    receiver = Receiver(fake_server, failures=0.1)
    chance = random.Random(kills)  # noqa: S311  # A test needs no secrets.
    box.add_endpoints(*ENDPOINTS)
    killed, number = [], 0

    def start():
        mark = f"{len(killed) + len(running):08x}"
        running[mark] = start_replica(url, receiver.port, mark=mark)

    start()
    start()
    while len(killed) < kills:
        # Messages are recorded while replicas are killed.
        number += 1
        for endpoint in ENDPOINTS:
            for subject in "abc":
                box.add(endpoint, subject, number)
        before = len(receiver.accepted)

        def is_going_on():
            # The last statement of a killed replica may have committed after its leases were freed.
            free_leases(box, running)
            return len(receiver.accepted) >= before + 10 or box.count() == 0  # noqa: B023

        wait_for(is_going_on)
        time.sleep(chance.random() / 30)
        killed.append(chance.choice([*running]))
        kill(running.pop(killed[-1]))
        free_leases(box, running)
        start()

    def is_done():
        free_leases(box, running)
        return box.count() == 0

    wait_for(is_done)
    check(receiver, box, number * len(ENDPOINTS) * 3)
    # A message is repeated only because the replica that sent it was killed before it recorded that.
    for messages in receiver.group().values():
        for (before, _, replica), (after, _, other) in pairwise(messages):
            assert before < after or (replica in killed and replica != other)
