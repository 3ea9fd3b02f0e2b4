"""Work that is repeated until the service ends."""

import threading

from shared.background import Background


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
        background._stop.wait(5)
        ended.append(1)

    background.repeat(work, every=0.01, name="work")
    began.wait(5)
    background.stop()
    assert ended == [1]
