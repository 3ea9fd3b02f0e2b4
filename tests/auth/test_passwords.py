"""Password hashing, bounded."""

import os
import resource
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from subprocess import PIPE

import psutil
import pytest

from auth.errors import HashingBusy
from auth.passwords import HASHING, Passwords
from tests.waiting import wait_for


def test_the_hash_is_argon2id_at_the_recommended_floor():
    assert Passwords().hash("x").startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_an_unknown_user_takes_as_long_as_a_known_one():
    passwords = Passwords()
    known = passwords.hash("right")

    def measure(password_hash):
        began = time.perf_counter()
        assert not passwords.matches(password_hash, "wrong")
        return time.perf_counter() - began

    # In turn, so that what else the machine does falls on both; the fastest were disturbed least.
    pairs = [(measure(None), measure(known)) for _ in range(15)]
    nobody, somebody = (min(times) for times in zip(*pairs, strict=True))
    assert nobody == pytest.approx(somebody, rel=0.5)


def test_nobodys_password_opens_nothing():
    assert not Passwords().matches(None, "nobody has this password")


def test_a_hash_that_is_none_matches_nothing():
    assert not Passwords().matches("not a hash", "anything")


def test_more_log_ins_than_may_hash_at_once_are_told_to_come_back():
    slow = Passwords(passes=60, at_once=1, waiting=1, patience=60)
    began, outcomes = threading.Barrier(5), []

    def hash_one():
        began.wait()
        try:
            outcomes.append(slow.hash("x")[:10])
        except HashingBusy as busy:
            outcomes.append(busy.headers["Retry-After"])

    run_at_once(hash_one, 5)
    assert sorted(outcomes) == ["$argon2id$"] * 2 + ["1"] * 3
    assert slow.matches(slow.hash("x"), "x")


def test_whoever_waits_too_long_is_told_to_come_back_and_leaves_no_work_behind():
    slow = Passwords(passes=60, at_once=1, waiting=1, patience=0.01)
    slow.require_room()
    with pytest.raises(HashingBusy):
        slow.hash("x")
    with pytest.raises(HashingBusy):
        slow.hash("x")
    # Both places are free again once what was begun is done; what was only waiting is never begun.
    wait_for(lambda: slow._places._value == 2)


def test_a_flood_holds_no_more_memory_than_the_hashes_that_are_worked_on(children):
    passwords = Passwords(at_once=1, waiting=30, patience=60)
    passwords.hash("x")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run_at_once(lambda: passwords.hash("x"), 30)
    assert len(children()) == 1
    assert read_peak(children()[0]) < (19 + 25) * 1024
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 19 * 1024


def test_hashing_lets_others_have_most_of_the_processor(children):
    passwords = Passwords(memory_kib=8, passes=1)
    passwords.hash("x")
    (process,) = children()
    assert process.nice() == os.getpriority(os.PRIO_PROCESS, 0) + 5
    assert os.getsid(process.pid) != os.getsid(0)
    autogroup = Path(f"/proc/{process.pid}/autogroup")
    assert not autogroup.exists() or autogroup.read_text().endswith("nice 5\n")


def test_where_others_take_all_they_can_get_a_password_is_hashed_in_time():
    passwords = Passwords(passes=40, patience=8)
    passwords.hash("x")
    spin = [sys.executable, "-c", "while True: pass"]
    with ExitStack() as stack:
        for _ in range(2 * len(os.sched_getaffinity(0))):
            stack.callback(stack.enter_context(subprocess.Popen(spin)).kill)
        passwords.hash("x")


def test_a_process_that_was_killed_is_replaced_in_the_midst_of_a_question(children):
    passwords = Passwords(passes=60, patience=60)
    outcomes = []
    asking = threading.Thread(target=lambda: outcomes.append(passwords.matches(passwords.hash("x"), "x")))
    asking.start()
    wait_for(children)
    (first,) = children()
    first.kill()
    asking.join()
    assert outcomes == [True]
    assert first not in children()


def test_one_that_goes_away_at_once_is_told_apart_from_a_wrong_password(children, monkeypatch, tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("")
    monkeypatch.setattr("auth.passwords.HASHING", broken)
    with pytest.raises(HashingBusy):
        Passwords().matches(None, "x")
    assert not children()


def test_the_process_goes_with_whoever_asks_even_if_that_is_killed(children):
    script = (
        "from auth.passwords import Passwords; mine = Passwords(); print(mine.hash('x'), flush=True); input()"
    )
    owner = psutil.Popen([sys.executable, "-c", script], stdin=PIPE, stdout=PIPE, env=import_path())
    with owner:
        owner.stdout.readline()
        (process,) = owner.children()
        owner.kill()
    wait_for(lambda: not process.is_running())


def test_a_process_that_was_told_to_stop_is_replaced_at_the_next_question(children):
    passwords = Passwords(memory_kib=8, passes=1)
    passwords.hash("x")
    (process,) = children()
    process.terminate()
    wait_for(lambda: process.status() == psutil.STATUS_ZOMBIE)
    assert passwords.hash("x")
    assert children() != [process]


def test_a_hash_of_weaker_parameters_is_replaced_and_one_of_todays_is_not():
    weak, today = Passwords(memory_kib=8, passes=1), Passwords(memory_kib=16, passes=1)
    old = weak.hash("right")
    checked = today.check(old, "right")
    assert checked.is_right
    assert today.check(checked.fresh_hash, "right") == (True, None)
    assert today.check(old, "wrong") == (False, None)


def test_it_does_not_matter_which_keyboard_wrote_the_password():
    passwords = Passwords(memory_kib=8, passes=1)
    assert passwords.matches(passwords.hash("Scho\u0308nbrunn \ufb01x"), "Sch\u00f6nbrunn fix")


def run_at_once(work, number):
    threads = [threading.Thread(target=work) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.fixture
def children():
    """Return what lists the processes that hash for this one, without those of other tests."""

    def find():
        processes = psutil.Process().children()
        return [process for process in processes if str(HASHING) in process.cmdline()]

    others = find()
    return lambda: [process for process in find() if process not in others]


def read_peak(process):
    """Return the most memory that a process has had, in KiB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def import_path():
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
