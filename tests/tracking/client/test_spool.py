"""The spool: what was written is there, what was half written is not, and what was delivered goes."""

import os
import resource
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perenne.tracking.client import spool as spooling
from perenne.tracking.client.records import Begin, Close, End, Metrics, Params, Record, Tags, decode, encode
from perenne.tracking.client.sender import close_orphans
from perenne.tracking.client.spool import MAGIC, Spool, frame, orphans
from perenne.tracking.model import Provenance

BEGIN = Begin("run-1", False, "", "e", "n", "ada", "script", 5, {"a": "b"}, (), Provenance(commit="c"))


def whole(spool: Spool) -> bool:
    return spool.is_delivered


def full(spool: Spool) -> bool:
    return spool.full


def metric(step: int) -> Metrics:
    return Metrics(1_700_000_000_000 + step, step, {"loss": step / 2})


def spooled(folder: Path, count: int) -> Spool:
    spool = Spool.create(folder, BEGIN)
    for step in range(count):
        spool.append(encode(metric(step)))
    return spool


def test_records_come_back_in_order_and_only_once(tmp_path: Path) -> None:
    spool = spooled(tmp_path, 10)
    piece = spool.pending(4)
    assert piece.records == [BEGIN, metric(0), metric(1), metric(2)]
    spool.mark(piece.end)
    rest = spool.pending(100)
    assert rest.records == [metric(step) for step in range(3, 10)]
    assert not whole(spool)
    spool.mark(rest.end)
    assert whole(spool)
    assert spool.pending(100).records == []


def test_what_a_dead_process_left_is_taken_by_one_other(tmp_path: Path) -> None:
    spool = spooled(tmp_path, 3)
    assert orphans(tmp_path) == []  # it is held
    spool.close()
    (taken,) = orphans(tmp_path)
    assert taken.begin == BEGIN
    assert len(taken.pending(100).records) == 4
    assert orphans(tmp_path) == []


@given(st.integers(1, 40), st.binary(max_size=30))
def test_a_torn_end_costs_the_last_record_and_no_other(tmp_path_factory: pytest.TempPathFactory, cut: int, junk: bytes) -> None:
    folder = tmp_path_factory.mktemp("spool")
    spool = spooled(folder, 5)
    spool.close()
    whole = spool.path.read_bytes()
    last = len(frame(encode(metric(4))))
    spool.path.write_bytes(whole[: -min(cut, last)] + (junk if cut > last else b""))
    (taken,) = orphans(folder)
    found = taken.pending(100).records
    assert found[:5] == [BEGIN, *(metric(step) for step in range(4))]
    taken.append(encode(Close()))
    assert taken.pending(100).records[-1] == Close()
    taken.close()


@pytest.mark.parametrize(
    "content", [b"", b"PRN", MAGIC, MAGIC + b"\0" * 50, b"something else altogether", MAGIC + frame(b"\xc1")]
)
def test_what_is_no_spool_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "run.x.spool"
    path.write_bytes(content)
    assert orphans(tmp_path) == []
    assert path.read_bytes() == content


def test_a_damaged_mark_means_that_all_is_delivered_again(tmp_path: Path) -> None:
    spool = spooled(tmp_path, 3)
    spool.mark(spool.pending(2).end)
    spool.close()
    spool.path.with_suffix(".sent").write_bytes(b"\xff" * 12)
    (taken,) = orphans(tmp_path)
    assert len(taken.pending(100).records) == 4


def test_a_spool_that_was_delivered_is_cut_back_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooling, "COMPACT", 1_000)
    spool = spooled(tmp_path, 200)
    spool.mark(spool.pending(1_000).end)
    assert spool.path.stat().st_size < 1_000
    spool.append(encode(metric(7)))
    assert spool.pending(100).records == [metric(7)]
    spool.close()
    (taken,) = orphans(tmp_path)
    assert taken.pending(100).records == [metric(7)]


def test_a_dead_processs_run_is_over_unless_another_goes_on(tmp_path: Path) -> None:
    first, second = spooled(tmp_path, 1), spooled(tmp_path, 1)
    first.close()
    own = orphans(tmp_path)
    close_orphans(own)
    assert own[0].pending(10).records[-1] == Close()
    own[0].remove()
    second.close()
    own = orphans(tmp_path)
    close_orphans(own)
    last = own[0].pending(10).records[-1]
    assert isinstance(last, End)
    assert last.state == "failed"


def test_a_run_that_was_ended_stays_as_it_ended(tmp_path: Path) -> None:
    spool = spooled(tmp_path, 1)
    spool.append(encode(End("finished", 9)))
    spool.mark(spool.pending(10).end)
    spool.close()
    own = orphans(tmp_path)
    close_orphans(own)
    assert own[0].is_closed
    assert own[0].is_delivered


def test_on_a_full_disk_records_wait_in_memory(tmp_path: Path) -> None:
    spool = spooled(tmp_path, 10)
    size = spool.path.stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, hard))
    try:
        for step in range(10, 15):
            spool.append(encode(metric(step)))
        assert full(spool)
        assert spool.path.stat().st_size == size  # nothing half written
        piece = spool.pending(100)
        assert len(piece.records) == 11
        spool.mark(piece.end)
        assert not whole(spool)
        assert spool.take_waiting() == [metric(step) for step in range(10, 15)]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    spool.mark(piece.end)  # there is room again
    assert not full(spool)
    assert spool.pending(100).records == [metric(step) for step in range(10, 15)]


@given(
    st.one_of(
        st.builds(
            Metrics,
            st.integers(0, 1 << 62),
            st.integers(-(1 << 62), 1 << 62),
            st.dictionaries(st.text(), st.floats(allow_nan=False)),
        ),
        st.builds(Params, st.dictionaries(st.text(), st.text())),
        st.builds(Tags, st.dictionaries(st.text(), st.text())),
    )
)
def test_every_record_comes_back(record: Record) -> None:
    assert decode(encode(record)) == record


def test_a_spool_belongs_to_its_user(tmp_path: Path) -> None:
    spool = spooled(tmp_path, 1)
    assert os.stat(spool.path).st_mode & 0o077 == 0
