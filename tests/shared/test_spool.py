"""Records in a spool survive the process that appended them."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.logs.v1.logs_pb2 import ResourceLogs, ScopeLogs
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from shared import spool as module
from shared.spool import (
    BEGUN_WITHIN,
    LARGEST,
    SCOPE_LOGS,
    RecordTooLarge,
    Spool,
    SpoolFull,
    find_boundaries,
    frame,
)

ROOMY = 100_000_000


def record(name: str) -> bytes:
    """Return an encoded record with a name as its scope."""
    scope_logs = ScopeLogs()
    scope_logs.scope.name = name
    return scope_logs.SerializeToString()


def resource(name: str = "one") -> bytes:
    written = Resource()
    written.attributes.add(key="service.instance.id").value.string_value = name
    return written.SerializeToString()


def read(spool: Spool, *, most_records: int = 1000, most_bytes: int = 1_000_000) -> list[str]:
    """Take all records out; return their names."""
    names: list[str] = []
    while batch := spool.take(most_records=most_records, most_bytes=most_bytes):
        message = ResourceLogs.FromString(batch.resource_logs)
        assert len(message.scope_logs) == batch.count <= most_records
        names += [scope_logs.scope.name for scope_logs in message.scope_logs]
        spool.done(batch)
    return names


@pytest.fixture
def spool(tmp_path) -> Spool:
    return Spool(tmp_path, resource(), most_bytes=ROOMY)


def test_records_are_taken_in_the_order_in_which_they_were_appended(spool):
    for number in range(10):
        spool.append(record(str(number)))
    assert read(spool, most_records=3) == [str(number) for number in range(10)]
    assert spool.take(most_records=1, most_bytes=100) is None


def test_records_that_are_not_done_are_taken_again(spool):
    spool.append(record("a"))
    assert spool.take(most_records=5, most_bytes=1000).count == 1
    spool.append(record("b"))
    assert read(spool) == ["a", "b"]


def test_every_batch_has_the_resource(spool):
    spool.append(record("a"))
    message = ResourceLogs.FromString(spool.take(most_records=1, most_bytes=1000).resource_logs)
    assert message.resource.attributes[0].value.string_value == "one"


def test_a_full_file_is_followed_by_another_and_removed_when_it_is_shipped(spool, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SEGMENT", 200)
    for number in range(30):
        spool.append(record(f"record {number}"))
    assert len(list(tmp_path.iterdir())) > 2
    assert read(spool) == [f"record {number}" for number in range(30)]
    assert len(list(tmp_path.iterdir())) <= 1
    assert spool.waiting_bytes == 0


def test_a_file_is_emptied_when_all_its_records_are_shipped(spool, tmp_path):
    spool.append(record("a" * 5000))
    read(spool)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 100
    spool.append(record("b"))
    assert read(spool) == ["b"]


def test_a_full_spool_refuses_records_until_it_has_room_again(tmp_path):
    spool = Spool(tmp_path, resource(), most_bytes=1000)
    for _ in range(10):
        spool.append(record("x" * 90))
    with pytest.raises(SpoolFull):
        spool.append(record("x" * 90))
    spool.append(record("x" * 90), urgent=True)
    assert len(read(spool)) == 11
    spool.append(record("again"))
    assert read(spool) == ["again"]


def test_files_of_other_processes_count_towards_the_limit(tmp_path):
    other = Spool(tmp_path, resource(), most_bytes=ROOMY)
    other.append(record("x" * 900))
    spool = Spool(tmp_path, resource(), most_bytes=1000)
    assert spool.adopt() > 900
    with pytest.raises(SpoolFull):
        spool.append(record("x" * 200))
    assert read(other) == ["x" * 900]


def test_a_record_that_is_too_large_for_an_export_is_refused(spool):
    with pytest.raises(RecordTooLarge):
        spool.append(record("x" * LARGEST))
    spool.append(record("x" * (LARGEST - 100)))
    assert len(read(spool, most_bytes=10)) == 1


def test_a_full_disk_is_a_full_spool_and_leaves_no_partial_record(spool, monkeypatch):
    spool.append(record("a"))
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:5]))
    with pytest.raises(SpoolFull):
        spool.append(record("lost"))
    monkeypatch.undo()
    spool.append(record("b"))
    assert read(spool) == ["a", "b"]


def test_a_missing_folder_is_a_full_spool(tmp_path):
    spool = Spool(tmp_path / "folder", resource(), most_bytes=ROOMY)
    (tmp_path / "folder").rmdir()
    with pytest.raises(SpoolFull):
        spool.append(record("a"))


WRITER = """
import sys, itertools
from pathlib import Path
sys.path.insert(0, {root!r})
from shared import spool as module
from tests.shared.test_spool import record, resource
module.SEGMENT = 2000
spool = module.Spool(Path({folder!r}), resource("dead"), most_bytes=10**9)
for number in itertools.count():
    spool.append(record(str(number)))
    print(number, flush=True)
"""


def test_the_records_of_a_killed_process_are_taken_over_with_their_resource(tmp_path):
    root = str(Path(__file__).parents[2])
    code = WRITER.format(root=root, folder=str(tmp_path))
    writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=root)
    lines = [writer.stdout.readline() for _ in range(500)]
    spool = Spool(tmp_path, resource("heir"), most_bytes=ROOMY)
    assert spool.adopt() > 0
    assert read(spool) == []
    writer.send_signal(signal.SIGKILL)
    lines += writer.stdout.readlines()
    writer.wait()
    writer.stdout.close()
    spool.adopt()
    batch = spool.take(most_records=1, most_bytes=1000)
    [attribute] = ResourceLogs.FromString(batch.resource_logs).resource.attributes
    assert attribute.value.string_value == "dead"
    names = read(spool)
    reported = [line.strip() for line in lines if line.endswith("\n")]
    # It may have appended a record without reporting it.
    assert sorted(names, key=int)[: len(reported)] == reported
    assert len(names) <= len(reported) + 1
    assert list(tmp_path.glob("*.spool")) == []


def test_a_file_whose_process_died_before_it_wrote_to_it_is_removed_after_a_while(tmp_path):
    spool = Spool(tmp_path, resource(), most_bytes=ROOMY)
    for name, age in ((".left", BEGUN_WITHIN + 1), (".young", BEGUN_WITHIN - 30)):
        (tmp_path / name).touch()
        moment = time.time() - age
        os.utime(tmp_path / name, (moment, moment))
    spool.adopt()
    assert [path.name for path in tmp_path.iterdir()] == [".young"]


def test_two_processes_do_not_take_over_the_same_file(tmp_path):
    left = Spool(tmp_path, resource(), most_bytes=ROOMY)
    left.append(record("a"))
    left.close()
    heirs = [Spool(tmp_path, resource(), most_bytes=ROOMY) for _ in range(2)]
    for heir in heirs:
        heir.adopt()
    assert [read(heir) for heir in heirs] == [["a"], []]


def test_an_incomplete_record_is_skipped(tmp_path):
    left = Spool(tmp_path, resource(), most_bytes=ROOMY)
    left.append(record("a"))
    left.append(record("torn"))
    left.close()
    [file] = tmp_path.iterdir()
    os.truncate(file, file.stat().st_size - 2)
    heir = Spool(tmp_path, resource(), most_bytes=ROOMY)
    heir.adopt()
    assert read(heir) == ["a"]
    assert list(tmp_path.iterdir()) == []
    assert heir.waiting_bytes == 0


def test_a_file_that_its_owner_is_removing_is_not_taken_over(tmp_path, monkeypatch):
    owner = Spool(tmp_path, resource(), most_bytes=ROOMY)
    owner.append(record("a"))
    open_file = os.open

    def open_late(path, *options):
        descriptor = open_file(path, *options)
        read(owner)
        owner.close()
        return descriptor

    heir = Spool(tmp_path, resource(), most_bytes=ROOMY)
    monkeypatch.setattr(os, "open", open_late)
    heir.adopt()
    monkeypatch.undo()
    assert read(heir) == []
    assert (heir.waiting_bytes, heir.waiting_records) == (0, 0)


def test_waiting_records_are_counted_also_in_adopted_files(tmp_path):
    left = Spool(tmp_path, resource(), most_bytes=ROOMY)
    for name in "abc":
        left.append(record(name))
    assert left.waiting_records == 3
    left.done(left.take(most_records=1, most_bytes=1000))
    assert left.waiting_records == 2
    left.close()
    heir = Spool(tmp_path, resource(), most_bytes=ROOMY)
    heir.adopt()
    # The progress of the dead process is lost, so all records of its file wait again.
    assert heir.waiting_records == 3
    assert heir.waiting_bytes > 0
    read(heir)
    assert (heir.waiting_bytes, heir.waiting_records) == (0, 0)


def test_a_closed_spool_refuses_records(spool, tmp_path):
    spool.append(record("a"))
    batch = spool.take(most_records=1, most_bytes=1000)
    spool.close()
    spool.done(batch)
    with pytest.raises(SpoolFull):
        spool.append(record("b"))
    heir = Spool(tmp_path, resource(), most_bytes=ROOMY)
    heir.adopt()
    assert read(heir) == ["a"]


def test_closing_keeps_only_waiting_records(spool, tmp_path):
    spool.append(record("a"))
    read(spool)
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_concurrent_threads_append_whole_records(spool, monkeypatch):
    monkeypatch.setattr(module, "SEGMENT", 5000)
    names = [f"{thread}-{number}" for thread in range(8) for number in range(200)]
    threads = [
        threading.Thread(
            target=lambda mine: [spool.append(record(name)) for name in mine], args=[names[n::8]]
        )
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    taken = read(spool)
    for thread in threads:
        thread.join()
    taken += read(spool)
    assert sorted(taken) == sorted(names)


@given(st.lists(st.binary(max_size=400), max_size=20))
def test_boundaries_are_where_fields_end(contents):
    data = b"".join(frame(SCOPE_LOGS, each) for each in contents)
    ends = list(find_boundaries(data))
    assert len(ends) == len(contents)
    assert ends[-1:] == ([len(data)] if contents else [])
    for cut in range(len(data)):
        assert list(find_boundaries(data[:cut])) == [end for end in ends if end <= cut]
