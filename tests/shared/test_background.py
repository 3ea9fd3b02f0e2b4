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


def test_a_nudge_begins_the_rounds_of_the_task_that_it_names():
    background, named, other = Background(), [], []
    background.repeat(lambda: named.append(1), every=60, name="named")
    background.repeat(lambda: other.append(1), every=60, name="other")
    wait_for(lambda: named and other)
    background.nudge("named")
    wait_for(lambda: len(named) == 2)
    background.stop()
    assert len(other) == 1


def test_a_nudge_during_a_round_begins_another_one():
    background, rounds, go_on = Background(), [], threading.Event()

    def work():
        rounds.append(1)
        go_on.wait(5)

    background.repeat(work, every=60, name="work")
    wait_for(lambda: rounds)
    background.nudge("work")
    go_on.set()
    wait_for(lambda: len(rounds) == 2)
    background.stop()


def test_a_task_that_lasts_until_the_end_has_a_last_round_after_everything_else():
    background, rounds = Background(), []
    background.repeat(lambda: rounds.append(background.stopping.is_set()), every=60, name="w", until_end=True)
    wait_for(lambda: rounds)
    background.stop()
    assert rounds == [False, True]
