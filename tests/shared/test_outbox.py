"""The outbox and its courier: order, leases, waits, dead messages, fairness, rates, and what a poll costs."""

import random
import threading
import time
from contextlib import ExitStack, closing
from datetime import timedelta
from itertools import pairwise
from uuid import uuid4

import pytest
from sqlalchemy import event, text

from shared import courier, outbox
from shared.app import build_app
from shared.background import Background
from shared.courier import Courier
from shared.database import connect
from shared.errors import DatabaseUnavailable
from shared.outbox import Attempt, State, Verdict
from shared.settings import ServiceSettings
from tests.shared.outboxes import CHANNEL, FAILED, SENT, FakeChannel, Outbox, name
from tests.waiting import wait_for

UNREACHABLE = Attempt(Verdict.UNREACHABLE, {"error": "no answer"})
REFUSED = Attempt(Verdict.REFUSED, {"error": "never"})
SWIFT = timedelta(milliseconds=1)


@pytest.fixture
def settings(reuse_database):
    return ServiceSettings(
        service="orders-service", instance="orders-1", database_url=reuse_database("orders-service")
    )


@pytest.fixture
def box(settings):
    with closing(connect(settings)) as database:
        yield Outbox(database)


@pytest.fixture
def start(settings, auth, monkeypatch):
    """Start replicas, each with a courier that polls often."""
    monkeypatch.setattr(courier, "LOOK_EVERY", 0.02)
    with ExitStack() as started:

        def start(channel):
            app = build_app(settings, title="Test", database=connect(settings), auth=auth)
            started.callback(app.close)
            Courier(app, app.database, {CHANNEL: channel})
            return app

        yield start


def test_only_the_oldest_message_of_a_subject_is_due_and_other_subjects_go_on(box):
    box.add_endpoints("e")
    for subject, number in (("a", 1), ("a", 2), ("b", 1), ("a", 3), ("b", 2)):
        box.add("e", subject, number)
    assert box.attempt(FAILED, SENT) == ["a1", "b1"]
    assert box.attempt(SENT) == ["b2"]
    # `a1` waits, and so do the messages behind it, also new ones.
    box.add("e", "a", 4)
    box.add("e", "c", 1)
    assert box.attempt(SENT) == ["c1"]
    assert box.claim() == []
    box.make_due()
    assert [box.attempt(SENT) for _ in range(4)] == [["a1"], ["a2"], ["a3"], ["a4"]]


def test_a_message_that_is_due_earlier_than_an_older_one_does_not_overtake_it(box):
    # A retry is due later than messages that were recorded meanwhile; here, more than are read at once.
    box.add_endpoints("e")
    box.add_many("e", subjects=1, each=3 * outbox.WINDOW)
    box.sql(
        "UPDATE outbox SET next_attempt_at = now() - make_interval(secs => (data->>'number')::int + 10)"
        " WHERE data->>'number' <> '1'"
    )
    assert [box.attempt(SENT) for _ in range(4)] == [[f"subject-1{number}"] for number in (1, 2, 3, 4)]


def test_a_subject_of_one_endpoint_does_not_wait_for_another_endpoint(box):
    box.add_endpoints("up", "down")
    for endpoint in ("up", "down"):
        box.add(endpoint, "a", 1)
        box.add(endpoint, "a", 2)
    for answer in (FAILED, SENT):
        due = {claim.endpoint: (claim, box.read_due(claim)) for claim in box.claim()}
        found = {endpoint: [name(message) for message in messages] for endpoint, (_, messages) in due.items()}
        assert found == ({"up": ["a1"], "down": ["a1"]} if answer is FAILED else {"up": ["a2"], "down": []})
        for endpoint, (claim, messages) in due.items():
            for message in messages:
                box.record(claim, message, answer if endpoint == "down" else SENT)
            box.release(claim)


@pytest.mark.parametrize("attempt", [REFUSED, Attempt(Verdict.FAILED, most_failures=1)])
def test_a_dead_message_frees_the_next_one(box, attempt):
    box.add_endpoints("e")
    first = box.add("e", "a", 1)
    box.add("e", "a", 2)
    assert box.attempt(attempt) == ["a1"]
    assert box.find(first).state is State.DEAD
    assert box.attempt(SENT) == ["a2"]


def test_two_replicas_send_each_message_once_in_order_and_one_at_a_time_per_endpoint(box, start):
    endpoints = [f"endpoint-{number}" for number in range(12)]
    box.add_endpoints(*endpoints)
    for endpoint in endpoints:
        box.add_many(endpoint, subjects=5, each=6)
    chance = random.Random(1)  # noqa: S311  # A test needs no secrets.

    def answer(_message):
        time.sleep(chance.random() / 500)
        return SENT

    # One channel, because both replicas send to the same endpoints.
    channel = FakeChannel(answer)
    start(channel)
    start(channel)
    wait_for(lambda: box.count() == 0)
    assert channel.overlaps == []
    assert len(channel.sends) == len({message.id for message in channel.sends}) == 12 * 5 * 6
    assert set(map(tuple, channel.numbers().values())) == {(1, 2, 3, 4, 5, 6)}
    assert 2 < channel.most_active <= 2 * courier.MOST_SENDS


def test_an_endpoint_that_another_replica_is_claiming_is_not_claimed(box):
    box.add_endpoints("e")
    box.add("e", "a")
    with box.database.transaction() as connection:
        assert len(outbox.claim_endpoints(connection, [CHANNEL], 8, 8)) == 1
        # Neither does this one wait for that transaction.
        assert box.claim() == []


def test_the_endpoint_that_was_served_last_is_served_last(box):
    endpoints = ["a", "b", "c"]
    box.add_endpoints(*endpoints)
    for endpoint in endpoints:
        box.add_many(endpoint, subjects=10)
    served = []
    for _ in range(6):
        [claim] = box.claim(most=1)
        served.append(claim.endpoint)
        box.release(claim)
    assert served[:3] == served[3:]
    assert sorted(served[:3]) == endpoints


def test_a_thread_that_does_not_start_takes_no_thread_from_the_others(box, start, monkeypatch):
    endpoints = [f"endpoint-{number}" for number in range(courier.MOST_SENDS + 1)]
    box.add_endpoints(*endpoints)
    for endpoint in endpoints:
        box.add_many(endpoint, subjects=1)
    channel, failures = FakeChannel(), [*endpoints]
    begin = Background.start

    def fail(self, task, *, name):
        if failures:
            failures.pop()
            raise RuntimeError("can't start new thread")
        begin(self, task, name=name)

    monkeypatch.setattr(Background, "start", fail)
    start(channel)

    def is_done():
        # Otherwise the leases of the endpoints that were not served expire after a while.
        box.sql(
            "UPDATE outbox_endpoints SET lease_until = now() - interval '1 second' WHERE lease_until > now()"
        )
        return not failures and box.count() == 0

    wait_for(is_done)


def test_a_replica_sends_to_eight_endpoints_at_once_and_a_stalled_one_delays_no_other(box, start):
    endpoints = [f"endpoint-{number}" for number in range(10)]
    box.add_endpoints("stalled", *endpoints)
    box.add_many("stalled", subjects=1)
    for endpoint in endpoints:
        box.add_many(endpoint, subjects=30)
    go_on, recover = threading.Event(), threading.Event()

    def answer(message):
        (recover if message.endpoint == "stalled" else go_on).wait(30)
        return SENT

    channel = FakeChannel(answer)
    app = start(channel)
    wait_for(lambda: channel.active.total() == courier.MOST_SENDS)
    app.background.nudge(courier.TASK)
    go_on.set()
    wait_for(lambda: box.count() == 1)
    assert channel.most_active == courier.MOST_SENDS
    assert channel.active["stalled"] == 1
    recover.set()
    wait_for(lambda: box.count() == 0)


def test_endpoints_that_do_not_respond_leave_threads_to_the_others(box, start):
    stalled = [f"stalled-{number}" for number in range(courier.MOST_SENDS)]
    box.add_endpoints(*stalled, "up")
    box.sql("UPDATE outbox_endpoints SET failures = 1 WHERE name <> 'up'")
    for endpoint in stalled:
        box.add_many(endpoint, subjects=1)
    recover = threading.Event()

    def answer(message):
        if message.endpoint != "up":
            recover.wait(30)
        return SENT

    channel = FakeChannel(answer)
    start(channel)
    wait_for(lambda: channel.active.total() == courier.MOST_FAILING)
    box.add_many("up", subjects=5, each=5)
    wait_for(lambda: box.count() == len(stalled))
    assert channel.most_active == courier.MOST_FAILING + 1
    recover.set()
    wait_for(lambda: box.count() == 0)


def test_a_message_whose_replica_was_killed_is_sent_again_with_its_id_and_the_late_record_is_ignored(box):
    box.add_endpoints("e")
    box.add("e", "a", 1)
    box.add("e", "a", 2)
    [killed] = box.claim()
    [message] = box.read_due(killed)
    assert box.claim() == []
    box.expire_leases()
    [other] = box.claim()
    [again] = box.read_due(other)
    assert again.id == message.id
    assert box.record(other, again, FAILED) is not None
    # Now the first replica continues, for example because its machine was suspended.
    assert box.record(killed, message, SENT) is None
    box.release(killed)
    assert box.read_due(killed) == []
    found = box.find(message.id)
    assert (found.state, found.attempts, len(found.log)) == (State.WAITING, 1, 1)
    assert box.claim() == [], "the lease of the second replica is still valid"


def test_a_replica_that_was_suspended_starts_no_send_that_may_outlast_its_lease(box, start, monkeypatch):
    monkeypatch.setattr(outbox, "LONGEST_SEND", outbox.LEASE - timedelta(milliseconds=200))
    box.add_endpoints("e")
    box.add("e", "a")
    channel = FakeChannel()

    def suspend(_endpoint):
        if not channel.opened:
            time.sleep(0.3)

    channel.before_open = suspend
    start(channel)
    wait_for(lambda: box.count("sent") == 1)
    assert channel.opened["e"] == 2
    assert len(channel.sends) == 1


def test_a_sent_message_is_recorded_once_the_database_responds_again(box, start, monkeypatch):
    monkeypatch.setattr(courier, "RECORD_AGAIN", 0.01)
    record, failures = outbox.record_attempt, [1, 2, 3]

    def fail_thrice(*given, **named):
        if failures:
            failures.pop()
            raise DatabaseUnavailable
        return record(*given, **named)

    monkeypatch.setattr(outbox, "record_attempt", fail_thrice)
    box.add_endpoints("e")
    box.add("e", "a")
    channel = FakeChannel()
    start(channel)
    wait_for(lambda: box.count("sent") == 1)
    assert len(channel.sends) == 1


def test_an_endpoint_that_does_not_respond_pauses_and_blames_no_message(box):
    box.add_endpoints("e")
    message_id = box.add("e", "a", 1)
    box.add("e", "b", 1)
    pauses = []
    for _ in range(20):
        [claim] = box.claim()
        box.record(claim, box.read_due(claim)[0], UNREACHABLE)
        box.release(claim)
        assert box.claim() == []
        row = box.sql(
            "SELECT extract(epoch FROM paused_until - now())::float AS pause, failures, error FROM"
            " outbox_endpoints WHERE name = 'e'"
        )[0]
        pauses.append(row.pause)
        box.make_due()
    assert 3.5 < pauses[0] < 6.1
    assert pauses[1] > pauses[0]
    assert all(700 < pause < 1081 for pause in pauses[6:]), "at most 15 minutes and a fifth"
    assert (row.failures, row.error) == (20, "no answer")
    found = box.find(message_id)
    assert (found.state, found.failures) == (State.WAITING, 0)
    assert found.attempts == 20
    assert len(found.log) == outbox.LOGGED
    box.attempt(SENT, SENT)
    assert box.sql("SELECT failures, error FROM outbox_endpoints WHERE name = 'e'")[0] == (0, None)


def test_after_a_message_that_the_endpoint_did_not_answer_others_have_their_turn_first(box):
    box.add_endpoints("e")
    box.add("e", "poison")
    box.add("e", "fine")
    [claim] = box.claim()
    box.record(claim, box.read_due(claim)[0], UNREACHABLE)
    box.release(claim)
    box.sql("UPDATE outbox_endpoints SET paused_until = now()")
    assert box.attempt(SENT) == ["fine1"]


def test_an_endpoint_that_asks_for_a_pause_receives_nothing_during_it(box, start):
    box.add_endpoints("e")
    box.add_many("e", subjects=5)
    pause = Attempt(Verdict.FAILED, {"error": "429"}, pause=timedelta(hours=1))
    channel = FakeChannel(lambda _message: pause)
    start(channel)
    [[wait]] = wait_for(
        lambda: box.sql(
            "SELECT paused_until - now() FROM outbox_endpoints"
            " WHERE paused_until > now() AND lease_token IS NULL"
        )
    )
    assert wait > timedelta(minutes=59)
    assert len(channel.sends) == 1


def test_the_waits_of_a_failing_message_grow_to_a_day_and_differ():
    first = [outbox.choose_wait(0).total_seconds() for _ in range(200)]
    assert all(4 <= wait <= 6 for wait in first)
    assert len(set(first)) > 100
    for failures in range(outbox.MOST_FAILURES):
        expected = min(5 * 3**failures, 24 * 3600)
        assert 0.8 <= outbox.choose_wait(failures).total_seconds() / expected <= 1.2
    assert outbox.choose_wait(10**6) <= timedelta(days=1.2)
    waits = [min(5 * 3**failures, 24 * 3600) for failures in range(outbox.MOST_FAILURES - 1)]
    assert timedelta(days=4) < timedelta(seconds=sum(waits)) < timedelta(days=5)


def test_a_message_that_keeps_failing_waits_longer_each_time_and_is_dead_at_the_limit(box):
    box.add_endpoints("e")
    message_id = box.add("e", "a")
    waits = []
    for _ in range(outbox.MOST_FAILURES):
        assert box.find(message_id).state is State.WAITING
        box.attempt(FAILED)
        wait = "SELECT extract(epoch FROM next_attempt_at - now())::float FROM outbox"
        waits.append(box.sql(wait)[0][0])
        box.make_due()
    assert 3.5 < waits[0] < 6.1
    assert all(before < after for before, after in pairwise(waits[:8]))
    found = box.find(message_id)
    assert (found.state, found.failures) == (State.DEAD, outbox.MOST_FAILURES)
    assert found.finished_at is not None
    assert found.log[-1]["error"] == "not now"
    assert box.claim() == []


def test_a_refused_message_is_dead_at_once_and_is_sent_again_by_hand_with_its_id(box):
    box.add_endpoints("e")
    message_id = box.add("e", "a")
    box.attempt(REFUSED)
    with box.database.autocommit() as connection:
        [dead] = outbox.read_messages(connection, channel=CHANNEL, limit=10, state=State.DEAD)
        assert (dead.id, dead.attempts) == (message_id, 1)
        outbox.send_again(connection, message_id)
    assert box.attempt(SENT) == ["a1"]
    found = box.find(message_id)
    assert (found.state, found.attempts, [each["result"] for each in found.log]) == (
        State.SENT,
        2,
        ["refused", "sent"],
    )


def test_only_a_dead_message_is_sent_again(box):
    # A second click may arrive when the message has been sent.
    box.add_endpoints("e")
    message_id = box.add("e", "a")
    box.attempt(SENT)
    with box.database.autocommit() as connection:
        outbox.send_again(connection, message_id)
    assert box.find(message_id).state is State.SENT


def test_a_secret_is_erased_once_sent_but_not_before(box):
    box.add_endpoints("e")
    message_id = box.add("e", "a", secret="token")
    for attempt, kept in ((FAILED, "token"), (SENT, None)):
        box.make_due()
        [claim] = box.claim()
        box.record(claim, box.read_due(claim)[0], attempt, erases_secret=True)
        box.release(claim)
        assert box.find(message_id).secret == kept
    assert "token" not in repr(box.find(box.add("e", "b", secret="token")))


def test_an_endpoint_that_accepts_nothing_for_too_long_is_switched_off_and_its_owner_told_once(box, start):
    box.add_endpoints("lately", "long")
    for endpoint in ("lately", "long"):
        box.add_many(endpoint, subjects=5)
        box.sql(
            "UPDATE outbox_endpoints SET failing_since = now() - make_interval(hours => :hours)"
            " WHERE name = :name",
            hours=71 if endpoint == "lately" else 73,
            name=endpoint,
        )
    channel = FakeChannel(lambda _message: FAILED)
    channel.patience = timedelta(days=3)
    start(channel)
    wait_for(
        lambda: (
            len(channel.numbers()) == 6
            and not box.sql("SELECT FROM outbox_endpoints WHERE lease_token IS NOT NULL")
        )
    )
    assert channel.given_up == ["long"]
    assert box.sql("SELECT name FROM outbox_endpoints WHERE NOT is_active") == [("long",)]
    assert box.count() == 10, "its messages wait until it is switched on"


def test_an_owner_learns_of_the_end_of_an_endpoint_although_the_replica_is_killed_meanwhile(box):
    box.add_endpoints("e")
    box.add("e", "a")
    box.sql("UPDATE outbox_endpoints SET failing_since = now() - interval '4 days'")
    for _ in range(2):
        [claim] = box.claim()
        standing = box.record(claim, box.read_due(claim)[0], FAILED, patience=timedelta(days=3))
        assert (standing.is_active, standing.is_overdue) == (True, True)
        box.expire_leases()
        box.make_due()
    with box.database.autocommit() as connection:
        outbox.switch_off_endpoint(connection, claim)
    assert box.claim() == []


def test_a_channel_that_fails_delays_no_other_endpoint(box, start, monkeypatch):
    monkeypatch.setattr(courier, "FAULT_PAUSE", timedelta(milliseconds=20))
    box.add_endpoints("broken", "raising", "fine")
    for endpoint in ("broken", "raising", "fine"):
        box.add_many(endpoint, subjects=3)
    is_broken = True

    def fail(endpoint):
        if endpoint == "broken" and is_broken:
            raise RuntimeError("no such endpoint")

    def answer(message):
        if message.endpoint == "raising" and message.subject == "subject-1":
            raise ValueError("this message cannot be made")
        return SENT

    channel = FakeChannel(answer)
    channel.before_open = fail
    start(channel)
    wait_for(lambda: box.count("sent") == 5)
    [failed] = wait_for(lambda: box.sql("SELECT log FROM outbox WHERE endpoint = 'raising' AND failures = 1"))
    assert failed.log[0]["error"] == "ValueError: this message cannot be made"
    is_broken = False
    wait_for(lambda: box.count("sent") == 8)


def test_messages_end_after_thirty_days(box):
    for days in (31, 29):
        for state in State:
            box.sql(
                "INSERT INTO outbox (id, channel, endpoint, subject, kind, data, state)"
                " VALUES (uuidv7(make_interval(days => -:days)), 'test', 'e', 'a', 'k', '{}', :state)",
                days=days,
                state=state,
            )
    with box.database.transaction() as connection:
        assert outbox.delete_old_messages(connection, 3) == 3
        assert outbox.delete_old_messages(connection, 3) == 1
        assert outbox.delete_old_messages(connection, 3) == 0
    assert [box.count(state) for state in State] == [1, 1, 1, 1]


def test_the_metrics_have_what_waits_what_is_dead_and_each_attempt(box, start):
    box.add_endpoints("e", "off")
    box.add("e", "waiting")
    box.add("off", "waits for its owner")
    box.sql("UPDATE outbox SET next_attempt_at = now() + interval '1 hour'")
    box.sql("UPDATE outbox SET created_at = now() - interval '90 s' WHERE endpoint = 'e'")
    box.sql("UPDATE outbox SET created_at = now() - interval '900 s' WHERE endpoint = 'off'")
    box.sql("UPDATE outbox_endpoints SET is_active = false WHERE name = 'off'")
    box.add("e", "sent")
    box.add("e", "dead")
    app = start(FakeChannel(lambda message: REFUSED if message.subject == "dead" else SENT))
    wait_for(lambda: box.count() == 2)
    lines = dict(
        line.rpartition(" ")[::2]
        for line in app.test_client().get("/metrics").text.splitlines()
        if "outbox_" in line
    )
    assert lines['outbox_messages{channel="test",state="waiting"}'] == "1.0"
    assert lines['outbox_messages{channel="test",state="dead"}'] == "1.0"
    assert lines['outbox_messages{channel="mail",state="waiting"}'] == "0.0"
    assert 90 <= float(lines['outbox_oldest_waiting_seconds{channel="test"}']) < 200
    assert float(lines['outbox_oldest_waiting_seconds{channel="mail"}']) == 0
    attempts = {
        verdict: lines[f'outbox_attempts_total{{channel="test",result="{verdict}"}}'] for verdict in Verdict
    }
    assert attempts == {"sent": "1.0", "refused": "1.0", "kept": "0.0", "failed": "0.0", "unreachable": "0.0"}


def test_endpoints_with_many_messages_do_not_starve_another(box, start):
    busy = [f"busy-{number}" for number in range(courier.MOST_SENDS)]
    box.add_endpoints(*busy, "ninth")
    for endpoint in busy:
        box.add_many(endpoint, subjects=400)
    box.add("ninth", "a")
    channel = FakeChannel()
    start(channel)
    wait_for(lambda: "ninth" in channel.opened)
    assert len(channel.sends) < 400 * len(busy) / 4


def test_the_turn_of_a_slow_endpoint_ends(box, start, monkeypatch):
    monkeypatch.setattr(courier, "TURN", 0.03)
    box.add_endpoints("slow")
    box.add_many("slow", subjects=5)

    def answer(_message):
        time.sleep(0.04)
        return SENT

    channel = FakeChannel(answer)
    start(channel)
    wait_for(lambda: box.count() == 0)
    assert channel.opened["slow"] >= 5


def test_two_replicas_together_obey_the_rate_of_an_endpoint(box, start, monkeypatch):
    monkeypatch.setattr(outbox, "MINUTE", timedelta(seconds=1))
    box.add_endpoints("e")
    box.add_many("e", subjects=25)
    channel = FakeChannel()
    channel.rate = 10
    start(channel)
    start(channel)
    wait_for(lambda: box.count() == 0)
    crowded = [at for at in channel.times if sum(at <= other < at + 1 for other in channel.times) > 10]
    assert crowded == []
    assert len(channel.sends) == 25


def test_a_batch_says_whether_more_messages_are_due(box):
    box.add_endpoints("e")
    claim = outbox.Claim("e", CHANNEL, uuid4())
    found = []
    for subject in ("a", "b", "a"):
        box.add("e", subject)
        with box.database.autocommit() as connection:
            messages, has_more = outbox.read_due_messages(connection, claim, 2)
            found.append((len(messages), has_more))
    assert found == [(1, False), (2, False), (2, True)]


def test_a_courier_sends_all_due_messages_without_waiting_for_polls(box, start, monkeypatch):
    endpoints = [f"endpoint-{number}" for number in range(3 * courier.MOST_SENDS)]
    box.add_endpoints("e", *endpoints)
    box.add_many("e", subjects=3 * courier.BATCH, each=2)
    for endpoint in endpoints:
        box.add_many(endpoint, subjects=1)
    monkeypatch.setattr(courier, "LOOK_EVERY", 60)
    start(FakeChannel())
    wait_for(lambda: box.count() == 0, seconds=30)


def test_each_attempt_takes_one_message_of_what_an_endpoint_may_receive(box):
    box.add_endpoints("e")
    box.add_many("e", subjects=5)
    [claim] = box.claim()

    def read_allowance():
        with box.database.autocommit() as connection:
            return outbox.read_allowance(connection, "e", 60)[0]

    allowed = read_allowance()
    assert allowed == 4
    for message, attempt in zip(box.read_due(claim), (SENT, FAILED, REFUSED, UNREACHABLE), strict=False):
        box.record(claim, message, attempt, rate=60)
        allowed -= 1
        assert allowed <= read_allowance() <= allowed + 1, "one more is allowed each second"


@pytest.mark.parametrize("rate", [1, 10, 59, 300, 10_000])
def test_in_no_minute_an_endpoint_receives_more_than_its_rate_and_over_time_almost_as_much(box, rate):
    box.add_endpoints("e")
    box.sql("UPDATE outbox_endpoints SET lease_token = uuidv4() WHERE name = 'e'")
    interval, burst = outbox._choose_pace(rate).values()
    sent = []
    with box.database.transaction() as connection:
        # The clock of a transaction stands still, so the test moves what it is compared with.
        for _second in range(180):
            allowed, wait = outbox.read_allowance(connection, "e", rate)
            sent.append(allowed)
            assert allowed or 0 < wait.total_seconds() <= interval
            connection.execute(
                text(
                    "UPDATE outbox_endpoints SET paced_from ="
                    " greatest(paced_from, now() - make_interval(secs => :saved))"
                    " + make_interval(secs => :used - 1) WHERE name = 'e'"
                ),
                {"saved": interval * burst, "used": interval * allowed},
            )
    assert max(sum(sent[second : second + 60]) for second in range(121)) <= rate
    assert sum(sent) >= 3 * rate * 0.9


def count_pages(box, work):
    """Return the pages that the statements of `work` read."""
    statements = []

    def note(_connection, _cursor, statement, parameters, *_more):
        statements.append((statement, parameters))

    event.listen(box.database.engine, "before_cursor_execute", note)
    try:
        work()
    finally:
        event.remove(box.database.engine, "before_cursor_execute", note)
    return sum(_count_pages(box, *each) for each in statements)


def _count_pages(box, statement, parameters):
    explained = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}"
    with box.database.engine.connect() as connection, connection.begin() as transaction:
        [found] = connection.exec_driver_sql(explained, parameters).scalar_one()
        transaction.rollback()
    return found["Plan"]["Shared Hit Blocks"] + found["Plan"]["Shared Read Blocks"]


def test_a_poll_reads_few_pages_although_many_messages_wait_behind_one(box, monkeypatch):
    # The message still waits for its next attempt when a busy machine has come to the end of this test.
    monkeypatch.setattr(outbox, "FIRST_WAIT", timedelta(hours=1))
    box.add_endpoints("e", "other")
    box.add_many("e", subjects=1, each=20_000)
    box.add_many("other", subjects=1)
    for claim in box.claim():
        if claim.endpoint == "e":
            [oldest] = box.read_due(claim)
            box.record(claim, oldest, FAILED)
            # The messages behind it are read once.
            assert box.read_due(claim) == []
        box.release(claim)
    # The index has two hundred pages of entries that the server has not removed yet.
    assert count_pages(box, box.claim) < 400
    claim = outbox.Claim("e", CHANNEL, uuid4())
    assert count_pages(box, lambda: box.read_due(claim)) < 400


# The server's statistics may be those of another hour.
@pytest.mark.parametrize("analyzed", [{"subjects": 10_000}, {"subjects": 1, "each": 10_000}, {"subjects": 0}])
def test_a_poll_and_a_batch_read_few_pages_although_many_messages_are_due(box, analyzed):
    box.add_endpoints("e")
    box.add_many("e", **analyzed)
    box.sql("ANALYZE outbox")
    box.sql("DELETE FROM outbox")
    box.add_many("e", subjects=10_000)
    assert count_pages(box, box.claim) < 400
    claim = outbox.Claim("e", CHANNEL, uuid4())
    assert len(box.read_due(claim)) == courier.BATCH
    assert count_pages(box, lambda: box.read_due(claim)) < 5000
