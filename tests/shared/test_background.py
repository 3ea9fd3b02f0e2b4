"""Tasks that run repeatedly until the service stops."""

import threading

from shared.background import Background
from tests.waiting import wait_for


def test_a_failed_task_runs_again():
    background, rounds, twice = Background(), [], threading.Event()

    def fail_once():
        rounds.append(1)
        if len(rounds) == 1:
            raise RuntimeError("the first round")
        twice.set()

    background.repeat(fail_once, every=0.01, name="fail once")
    assert twice.wait(5)
    background.stop()


def test_stopping_waits_for_the_round_in_progress_and_starts_no_other():
    background, began, ended = Background(), threading.Event(), []

    def work():
        began.set()
        background.stopping.wait(5)
        ended.append(1)

    background.repeat(work, every=0.01, name="work")
    began.wait(5)
    background.stop()
    assert ended == [1]


def test_a_nudge_starts_the_next_round_of_a_nudged_task_at_once():
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


def test_a_nudge_starts_only_the_tasks_that_it_names():
    background, named, other = Background(), [], []
    background.repeat(lambda: named.append(1), every=60, name="named")
    background.repeat(lambda: other.append(1), every=60, name="other")
    wait_for(lambda: named and other)
    background.nudge("named")
    wait_for(lambda: len(named) == 2)
    background.stop()
    assert len(other) == 1


def test_a_nudge_during_a_round_starts_another_round():
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


def test_a_task_with_until_end_has_a_last_round_after_shutdown_began():
    background, rounds = Background(), []
    background.repeat(lambda: rounds.append(background.stopping.is_set()), every=60, name="w", until_end=True)
    wait_for(lambda: rounds)
    background.stop()
    assert rounds == [False, True]
