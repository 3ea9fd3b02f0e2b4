"""Password hashing, bounded."""

import threading
import time

import pytest

from auth.errors import HashingBusy
from auth.passwords import Passwords


def test_the_hash_is_argon2id_at_the_recommended_floor():
    assert Passwords().hash("x").startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_an_unknown_user_takes_as_long_as_a_known_one():
    passwords = Passwords()
    known = passwords.hash("right")

    def fastest(password_hash):
        times = []
        for _ in range(7):
            began = time.perf_counter()
            assert not passwords.matches(password_hash, "wrong")
            times.append(time.perf_counter() - began)
        return min(times)

    assert fastest(None) == pytest.approx(fastest(known), rel=0.5)


def test_nobodys_password_opens_nothing():
    assert not Passwords().matches(None, "nobody has this password")


def test_a_hash_that_is_none_matches_nothing():
    assert not Passwords().matches("not a hash", "anything")


def test_more_log_ins_than_may_hash_at_once_are_told_to_come_back():
    passwords = Passwords(at_once=1, patience=0)
    inside, leave = threading.Event(), threading.Event()

    def occupy():
        with passwords._turn():
            inside.set()
            leave.wait()

    thread = threading.Thread(target=occupy)
    thread.start()
    inside.wait()
    with pytest.raises(HashingBusy):
        passwords.hash("x")
    leave.set()
    thread.join()
    assert passwords.hash("x")
