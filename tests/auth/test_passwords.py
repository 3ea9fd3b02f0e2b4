"""Password hashing with bounded resources."""

import os
import resource
import sys
import threading
from functools import partial
from pathlib import Path
from subprocess import PIPE
from textwrap import dedent

import psutil
import pytest

from auth.errors import HashingBusy
from auth.passwords import HashingProcess, Passwords, Rank
from tests.auth.conftest import read_seconds
from tests.waiting import wait_for


def test_the_hash_is_argon2id_at_the_recommended_floor():
    assert Passwords(patience=60).hash("x").startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_no_password_opens_the_account_of_an_unknown_user():
    assert not Passwords(patience=60).matches(None, "a password of no account")


def test_a_malformed_hash_matches_nothing():
    assert not Passwords(patience=60).matches("not a hash", "anything")


def test_log_ins_beyond_the_queue_are_refused_with_retry_after(children):
    passwords = Passwords(memory_kib=8, passes=1, at_once=1, waiting=1, patience=60)
    known = passwords.hash("x")
    (process,) = children()
    outcomes = []

    def check_one():
        try:
            outcomes.append(str(passwords.matches(known, "x")))
        except HashingBusy as busy:
            outcomes.append(busy.headers["Retry-After"])

    # While the process is suspended, one log-in has its turn, one waits, and there is no third place.
    process.suspend()
    threads = start(check_one, 5)
    wait_for(lambda: len(outcomes) >= 3)
    process.resume()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["1"] * 3 + ["True"] * 2
    assert passwords.matches(known, "x")


def test_a_flood_fills_only_its_share_and_log_ins_to_accounts_run_first(children, monkeypatch):
    order, refused = [], []

    class RecordingProcess(HashingProcess):
        """A process that records the order of its requests."""

        def call(self, request, deadline):
            order.append({"choose": "new"}.get(request[0]) or ("known" if request[2] else "unknown"))
            return super().call(request, deadline)

    monkeypatch.setattr("auth.passwords.HashingProcess", RecordingProcess)
    passwords = Passwords(memory_kib=8, passes=1, at_once=1, waiting=11, patience=60)
    known = passwords.choose("correct horse battery", [])
    order.clear()
    (process,) = children()

    def attempt(kind, work):
        try:
            work()
        except HashingBusy:
            refused.append(kind)

    floods = {
        "new": lambda: passwords.choose("correct horse battery", []),
        "unknown": lambda: passwords.matches(None, "x"),
    }
    process.suspend()
    threads = []
    for kind, work in floods.items():
        threads += start(partial(attempt, kind, work), 20)
        wait_for(lambda kind=kind: refused.count(kind) == 16)
    threads += start(partial(attempt, "known", lambda: passwords.matches(known, "x")), 4)
    wait_for(lambda: passwords._waiting[Rank.KNOWN] == 4)
    process.resume()
    for thread in threads:
        thread.join()
    # The first request of the flood had its turn before the rest arrived.
    assert order == ["new", *["known"] * 4, *["unknown"] * 4, *["new"] * 3]
    assert refused == ["new"] * 16 + ["unknown"] * 16


def test_callers_that_wait_too_long_are_refused_and_their_work_is_cancelled(children, monkeypatch):
    passwords = Passwords(memory_kib=8, passes=1, at_once=1, waiting=1, patience=60)
    known = passwords.hash("x")
    (process,) = children()
    process.suspend()
    passwords._patience = 0.1
    # The second caller gives up before the first one, whose work is killed, makes room.
    monkeypatch.setattr("auth.passwords.HASH_SECONDS", 0.6)
    refused = []

    def check_one():
        with pytest.raises(HashingBusy):
            passwords.matches(known, "x")
        refused.append(True)

    for thread in start(check_one, 2):
        thread.join()
    assert refused == [True, True]
    # The running work is killed, and both places are free again.
    assert not children()
    assert set(passwords._inside.values()) == set(passwords._waiting.values()) == {0}
    assert not passwords._by_place
    assert len(passwords._free) == 1


def test_a_flood_takes_only_the_memory_of_the_running_hashes(children):
    passwords = Passwords(passes=1, at_once=1, waiting=10, patience=60)
    known = passwords.choose("correct horse battery", [])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for thread in start(lambda: passwords.matches(known, "x"), 10):
        thread.join()
    assert len(children()) == 1
    assert read_peak(children()[0]) < (19 + 25) * 1024
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 19 * 1024


def test_hashing_runs_with_a_lower_priority(children):
    passwords = Passwords(memory_kib=8, passes=1)
    passwords.hash("x")
    (process,) = children()
    assert process.nice() == os.getpriority(os.PRIO_PROCESS, 0) + 5
    assert os.getsid(process.pid) != os.getsid(0)
    autogroup = Path(f"/proc/{process.pid}/autogroup")
    assert not autogroup.exists() or autogroup.read_text().endswith("nice 5\n")


def test_hashing_progresses_on_a_busy_processor(children):
    passwords = Passwords(memory_kib=1024, passes=1500, patience=120)
    passwords.hash("x")
    (hashing,) = children()
    place = [min(os.sched_getaffinity(0))]
    hashing.cpu_affinity(place)
    spin = [sys.executable, "-c", "print(flush=True)\nwhile True: pass"]
    # A separate session, like that of the hashing process, because the kernel schedules by session first.
    with psutil.Popen(spin, stdout=PIPE, start_new_session=True) as other:
        try:
            other.stdout.readline()
            other.cpu_affinity(place)
            idle = read_seconds(hashing)
            (asking,) = start(lambda: passwords.hash("x"), 1)
            # Both processes compete for one processor between the two measurements.
            started = wait_for(lambda: read_seconds(hashing) > idle and measure(hashing, other))
            ended = wait_for(lambda: read_seconds(hashing) > started[0] + 0.3 and measure(hashing, other))
        finally:
            other.kill()
    asking.join()
    hashed, spun = (after - before for before, after in zip(started, ended, strict=True))
    assert 0.12 < hashed / spun < 0.6


def test_a_process_that_is_killed_during_a_request_is_replaced(children):
    passwords = Passwords(memory_kib=8, passes=1, at_once=1, patience=60)
    first, asking, outcomes = start_suspended_check(passwords, passwords.hash("x"), children)
    first.kill()
    asking.join()
    assert outcomes == [True]
    assert first not in children()


def test_a_slow_hash_is_finished_while_others_give_up_their_turn(children):
    passwords = Passwords(memory_kib=8, passes=1, at_once=1, patience=0.2)
    known = passwords.hash("x")
    process, asking, outcomes = start_suspended_check(passwords, known, children)
    with pytest.raises(HashingBusy):
        passwords.matches(known, "x")
    process.resume()
    asking.join()
    assert outcomes == [True]
    assert children() == [process]


def test_a_process_that_exits_at_once_is_not_a_wrong_password(children, monkeypatch, tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("")
    monkeypatch.setattr("auth.passwords.HASHING", broken)
    with pytest.raises(HashingBusy):
        Passwords().matches(None, "x")
    assert not children()


def test_the_process_ends_when_its_parent_is_killed(children):
    script = """
        from auth.passwords import Passwords
        passwords = Passwords(patience=60)
        print(passwords.hash("x"), flush=True)
        input()
    """
    script = dedent(script)
    owner = psutil.Popen([sys.executable, "-c", script], stdin=PIPE, stdout=PIPE, env=import_path())
    with owner:
        owner.stdout.readline()
        (process,) = owner.children()
        owner.kill()
    wait_for(lambda: not process.is_running())


def test_a_terminated_process_is_replaced_at_the_next_request(children):
    passwords = Passwords(memory_kib=8, passes=1)
    passwords.hash("x")
    (process,) = children()
    process.terminate()
    wait_for(lambda: process.status() == psutil.STATUS_ZOMBIE)
    assert passwords.hash("x")
    assert children() != [process]


def test_the_process_is_started_before_the_first_password(children):
    passwords = Passwords()
    assert not children()
    passwords.prepare()
    passwords.prepare()
    (process,) = children()
    assert passwords.matches(passwords.hash("a password"), "a password")
    assert children() == [process]


def test_only_a_hash_with_outdated_parameters_is_replaced():
    weak, today = Passwords(memory_kib=8, passes=1), Passwords(memory_kib=16, passes=1)
    old = weak.hash("right")
    checked = today.check(old, "right")
    assert checked.is_right
    assert today.check(checked.fresh_hash, "right") == (True, None)
    assert today.check(old, "wrong") == (False, None)


def test_a_new_password_must_withstand_guesses_from_the_owners_words():
    passwords = Passwords(memory_kib=8, passes=1, patience=60)
    chosen = passwords.choose("xanadu parade seven", [])
    assert passwords.matches(chosen, "xanadu parade seven")
    for password in ("Password2024!", "letmein12", "qwertyuiop12"):
        assert passwords.choose(password, []) is None, password
    assert passwords.choose("gruffaloes", [])
    assert passwords.choose("gruffaloes", ["gruffaloe"]) is None
    assert passwords.choose("\ud800 is half of a pair", [])


def test_estimating_guesses_never_takes_much_longer_than_a_hash(children):
    passwords = Passwords(patience=60)
    passwords.hash("x")
    (process,) = children()
    signs = "4@8({[<369!1|0$5+7%2"

    def measure_work(work):
        before = read_seconds(process)
        for _ in range(5):
            work()
        return read_seconds(process) - before

    hashing = measure_work(lambda: passwords.hash("x"))
    words = [f"word {number}" for number in range(100)] + ["x" * 254]
    hostile = [
        *("56%34|{$79[18+@!(<", "318%<{+|(674@5$[", signs * 50, "%8" * 500, "aab" * 340, "\ufdfa" * 1024),
        *("19/20-.\\ 8" * 90, "qwertyuiop" * 100, "p455w0rdm0nk3y5h4d0w" * 50, "\u0130" * 1024, "1" * 1024),
    ]
    slow = {
        password[:20]: spent / hashing
        for password in hostile
        for spent in [measure_work(partial(passwords.choose, password, words))]
        # An accepted password is also hashed.
        if spent > 3 * hashing
    }
    assert slow == {}


def test_a_password_matches_regardless_of_the_keyboard():
    passwords = Passwords(memory_kib=8, passes=1)
    assert passwords.matches(passwords.hash("Scho\u0308nbrunn \ufb01x"), "Sch\u00f6nbrunn fix")


def start_suspended_check(passwords, known, children):
    """Start a check in the only process while that is suspended; return process, thread and outcomes."""
    (process,) = children()
    process.suspend()
    outcomes = []
    (asking,) = start(lambda: outcomes.append(passwords.matches(known, "x")), 1)
    wait_for(lambda: not passwords._free)
    return process, asking, outcomes


def start(work, number):
    threads = [threading.Thread(target=work) for _ in range(number)]
    for thread in threads:
        thread.start()
    return threads


def read_peak(process):
    """Return the peak memory of a process in KiB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def measure(*processes):
    return [read_seconds(process) for process in processes]


def import_path():
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
