"""What is particular to objects in a folder."""

import os
from pathlib import Path

import pytest

from perenne.storage.files import ABANDONED_S, write_atomically
from perenne.storage.objects import FileObjects


@pytest.fixture
def files(tmp_path: Path) -> FileObjects:
    return FileObjects(tmp_path / "objects")


def path_of(files: FileObjects, digest: str) -> Path:
    return files.root / digest[:2] / digest[2:]


def test_an_object_that_was_cut_short_is_put_again(files: FileObjects) -> None:
    digest = files.put(b"whole")
    path_of(files, digest).chmod(0o644)
    path_of(files, digest).write_bytes(b"who")
    assert files.put(b"whole") == digest
    assert files.get(digest) == b"whole"


def test_objects_cannot_be_written_by_mistake(files: FileObjects) -> None:
    assert path_of(files, files.put(b"x")).stat().st_mode & 0o222 == 0


def test_what_a_killed_process_left_is_swept_up_a_day_later(files: FileObjects) -> None:
    incoming = files.root / "incoming"
    incoming.mkdir(parents=True)
    fresh, old = incoming / ".incoming-fresh", incoming / ".incoming-old"
    for path in (fresh, old):
        path.write_bytes(b"half")
    os.utime(old, (0, old.stat().st_mtime - 2 * ABANDONED_S))
    files.put(b"x")
    assert list(incoming.iterdir()) == [fresh]
    assert len(list(files.digests())) == 1


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "state.json"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    with pytest.raises(TypeError):
        write_atomically(path, "text")  # type: ignore[arg-type]
    assert path.read_bytes() == b"two"
    assert [entry.name for entry in path.parent.iterdir()] == ["state.json"]
