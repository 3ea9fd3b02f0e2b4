"""Work that is repeated until the service ends."""

import threading

from shared.background import Background
from tests.waiting import wait_for


def test_a_task_that_fails_is_tried_again():
    background, rounds, twice = Background(), [], threading.Event()

    def fail_once():
        rounds.append(1)
        if len(rounds) == 1:
            raise RuntimeError("the first round")
        twice.set()

    background.repeat(fail_once, every=0.01, name="fail once")
    assert twice.wait(5)
    background.stop()


def test_stopping_waits_for_the_round_that_runs_and_begins_no_other():
    background, began, ended = Background(), threading.Event(), []

    def work():
        began.set()
        background.stopping.wait(5)
        ended.append(1)

    background.repeat(work, every=0.01, name="work")
    began.wait(5)
    background.stop()
    assert ended == [1]


def test_a_nudge_begins_the_next_round_at_once_where_that_is_wanted():
    background, nudged, steady = Background(), [], []
    background.repeat(lambda: nudged.append(1), every=60, name="nudged")
    background.repeat(lambda: steady.append(1), every=60, name="steady", nudged=False)
    wait_for(lambda: nudged and steady)

    def nudge():
        background.nudge()
        return len(nudged) >= 3

    wait_for(nudge)
    background.stop()
    assert len(steady) == 1
