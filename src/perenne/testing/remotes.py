"""The contract of remotes of data versions: a folder, a bucket, a web server, another machine."""

import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from hashlib import md5
from pathlib import Path
from typing import TypeAlias

import pytest

from perenne import data
from perenne.core.errors import Denied, NotFound, Unavailable

Remote: TypeAlias = data.versions.Remote

THREADS = 4
LARGE = (17 << 20) + 3
"""Bytes of a file that goes in parts."""

OBJECT = "files/md5/ab/c7f0ef53f06f653f79d3a6a36dcfd3"


def md5_of(data: bytes) -> str:
    """Return the md5 in hex."""
    return md5(data, usedforsecurity=False).hexdigest()


class ReadableRemoteContract:
    """What every remote does. Fixture: `remote`, an empty one; method: `lay`, which puts a file there by another way."""

    large = LARGE

    def lay(self, remote: Remote, path: str, data: bytes) -> None:
        """Put a file into the remote."""
        raise NotImplementedError

    @pytest.mark.parametrize("data", [b"", b"\0", b"text\r\n", bytes(range(256)) * 8_000], ids=["none", "one", "text", "2 MB"])
    def test_a_file_comes_with_its_md5(self, remote: Remote, tmp_path: Path, data: bytes) -> None:
        self.lay(remote, OBJECT, data)
        target = tmp_path / "target"
        assert remote.get(OBJECT, str(target)) == md5_of(data)
        assert target.read_bytes() == data

    def test_a_large_file_comes_whole(self, remote: Remote, tmp_path: Path) -> None:
        data = random.Random(1).randbytes(self.large)
        self.lay(remote, OBJECT, data)
        assert remote.get(OBJECT, str(tmp_path / "target")) == md5_of(data)
        assert (tmp_path / "target").stat().st_size == len(data)

    def test_what_is_there_is_told_with_its_size(self, remote: Remote) -> None:
        self.lay(remote, OBJECT, b"12345")
        found = remote.about(OBJECT)
        assert found is not None
        assert (found.path, found.size) == (OBJECT, 5)

    def test_what_is_not_there_is_not_found(self, remote: Remote, tmp_path: Path) -> None:
        self.lay(remote, OBJECT, b"x")
        assert remote.about("files/md5/ab/other") is None
        assert remote.about("nowhere/at/all") is None
        with pytest.raises(NotFound) as error:
            remote.get("files/md5/ab/other", str(tmp_path / "target"))
        assert error.value.code == "data.remote_missing"
        assert not (tmp_path / "target").exists()

    def test_a_file_is_never_written_over_another(self, remote: Remote, tmp_path: Path) -> None:
        self.lay(remote, OBJECT, b"new")
        target = tmp_path / "target"
        target.write_bytes(b"old")
        with pytest.raises(FileExistsError):
            remote.get(OBJECT, str(target))
        assert target.read_bytes() == b"old"

    def test_its_address_shows_no_secret(self, remote: Remote) -> None:
        assert remote.shown
        assert "secret" not in remote.shown


class ReadOnlyRemoteContract(ReadableRemoteContract):
    """What a remote does that can only be read."""

    def test_nothing_can_be_put_or_removed(self, remote: Remote, tmp_path: Path) -> None:
        self.lay(remote, OBJECT, b"x")
        (tmp_path / "source").write_bytes(b"y")
        assert not remote.traits.writes
        with pytest.raises(Denied) as error:
            remote.put(str(tmp_path / "source"), OBJECT)
        assert error.value.code == "data.remote_read_only"
        with pytest.raises(Denied):
            remote.delete(OBJECT)
        with pytest.raises(Denied):
            remote.move(OBJECT, "elsewhere")
        assert remote.about(OBJECT) is not None


class RemoteContract(ReadableRemoteContract):
    """What every remote does that can be written to. Fixture: `remote`, an empty one."""

    def lay(self, remote: Remote, path: str, data: bytes) -> None:
        """Put a file into the remote, by the remote's own way unless a test of an adapter knows another."""
        import tempfile

        with tempfile.NamedTemporaryFile() as source:
            source.write(data)
            source.flush()
            remote.put(source.name, path)
            remote.settle()

    def test_files_are_listed_below_a_folder(self, remote: Remote) -> None:
        paths = {f"files/md5/{number:02x}/{number}" for number in range(20)} | {"files/other", "top"}
        for path in paths:
            self.lay(remote, path, path.encode())
        assert {file.path for file in remote.listing("")} == paths
        assert {file.path for file in remote.listing("files/md5/03")} == {"files/md5/03/3"}
        assert {file.path for file in remote.listing("files/md5/0")} == set()
        assert list(remote.listing("nowhere")) == []

    def test_a_file_of_another_md5_is_refused_and_not_seen(self, remote: Remote, tmp_path: Path) -> None:
        for size in (3, self.large):
            source = tmp_path / "source"
            source.write_bytes(b"x" * size)
            with pytest.raises(Unavailable) as error:
                remote.put(str(source), OBJECT, md5_of(b"other"))
            assert error.value.code == "data.object_damaged"
            remote.settle()
            assert remote.about(OBJECT) is None
        assert list(remote.listing("")) == []

    def test_a_file_of_its_md5_is_taken(self, remote: Remote, tmp_path: Path) -> None:
        source = tmp_path / "source"
        source.write_bytes(b"some bytes")
        remote.put(str(source), OBJECT, md5_of(b"some bytes"))
        remote.settle()
        assert remote.get(OBJECT, str(tmp_path / "target")) == md5_of(b"some bytes")
        assert source.read_bytes() == b"some bytes"

    def test_a_source_that_is_not_there_is_told_as_such(self, remote: Remote, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            remote.put(str(tmp_path / "missing"), OBJECT)
        remote.settle()
        assert remote.about(OBJECT) is None

    def test_a_file_is_replaced(self, remote: Remote, tmp_path: Path) -> None:
        self.lay(remote, OBJECT, b"old")
        self.lay(remote, OBJECT, b"newer")
        remote.get(OBJECT, str(tmp_path / "target"))
        assert (tmp_path / "target").read_bytes() == b"newer"

    def test_a_file_is_moved(self, remote: Remote, tmp_path: Path) -> None:
        self.lay(remote, OBJECT, b"x")
        remote.move(OBJECT, f".perenne-trash/today/{OBJECT}")
        assert remote.about(OBJECT) is None
        assert remote.get(f".perenne-trash/today/{OBJECT}", str(tmp_path / "target")) == md5_of(b"x")
        with pytest.raises(NotFound):
            remote.move(OBJECT, "elsewhere")

    def test_a_removed_file_is_gone(self, remote: Remote) -> None:
        self.lay(remote, OBJECT, b"x")
        remote.delete(OBJECT)
        remote.delete(OBJECT)
        assert remote.about(OBJECT) is None
        assert list(remote.listing("")) == []

    @pytest.mark.parametrize("name", ["a b.csv", "ü/€.txt", "100%/#1?.txt", "[x]*", ".hidden", "a'b\"c"])
    def test_any_name_will_do(self, remote: Remote, tmp_path: Path, name: str) -> None:
        self.lay(remote, f"d/{name}", b"x")
        assert [file.path for file in remote.listing("d")] == [f"d/{name}"]
        assert remote.get(f"d/{name}", str(tmp_path / "target")) == md5_of(b"x")

    def test_many_go_at_once(self, remote: Remote, tmp_path: Path) -> None:
        for number in range(24):
            (tmp_path / str(number)).write_bytes(bytes([number]) * 2_000)
        together = threading.Barrier(THREADS)

        def go(start: int) -> None:
            together.wait()
            for number in range(start, 24, THREADS):
                remote.put(str(tmp_path / str(number)), f"d/{number}")

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(go, range(THREADS)))
        remote.settle()
        assert len(list(remote.listing("d"))) == 24
        remote.get("d/7", str(tmp_path / "target"))
        assert (tmp_path / "target").read_bytes() == b"\7" * 2_000

    def test_it_works_again_after_it_was_closed(self, remote: Remote) -> None:
        self.lay(remote, OBJECT, b"x")
        remote.close()
        assert remote.about(OBJECT) is not None
        assert os.path.basename(OBJECT) in {file.path.rpartition("/")[2] for file in remote.listing("files/md5/ab")}
