"""Repositories of DVC 2.x brought to what 3.x writes."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from perenne.data.versions.migrating import legacy_files, migrate_cache, migrate_metafiles
from perenne.data.versions.repository import Repository, init_repository

LOCK = """schema: '2.0'
stages:
  copy:
    cmd: cp t.csv out.csv
    deps:
    - path: t.csv
      md5: {0}
      size: 10
    outs:
    - path: out.csv
      md5: {0}
      size: 10
"""


def digest(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def keep(root: Path, name: str, data: bytes) -> str:
    """Put an object where 2.x did, under the digest that 2.x gave it."""
    place = root / ".dvc" / "cache" / name[:2] / name[2:]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    place.chmod(0o444)
    return name


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A repository as 2.x left it: a text with CRLF, a folder with another, a stage."""
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)
    init_repository(tmp_path)
    text, inner = b"a,b\r\n1,2\r\n", b"x\r\n"
    for name, data in (("t.csv", text), ("out.csv", text), ("d/1", inner)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    kept = keep(tmp_path, digest(text.replace(b"\r\n", b"\n")), text)
    file = keep(tmp_path, digest(b"x\n"), inner)
    manifest = b'[{"md5": "%s", "relpath": "1"}]' % file.encode()
    folder = keep(tmp_path, f"{digest(manifest)}.dir", manifest)
    (tmp_path / "t.csv.dvc").write_text(f"# a note\nouts:\n- md5: {kept}\n  size: 10\n  path: t.csv\n")
    (tmp_path / "d.dvc").write_text(f"outs:\n- md5: {folder}\n  size: 3\n  nfiles: 1\n  path: d\n")
    (tmp_path / "dvc.yaml").write_text("stages:\n  copy:\n    cmd: cp t.csv out.csv\n    deps: [t.csv]\n    outs: [out.csv]\n")
    (tmp_path / "dvc.lock").write_text(LOCK.format(kept))
    return Repository(tmp_path)


def test_objects_are_linked_under_the_md5_of_their_bytes(old: Repository) -> None:
    assert migrate_cache(old, dry=True) == 3
    assert not old.cache.listing()
    assert migrate_cache(old) == 3
    text = old.root / "t.csv"
    assert old.cache.has(digest(text.read_bytes()))
    assert os.stat(old.cache.place(digest(text.read_bytes()))).st_nlink == 2
    assert len(old.legacy.listing()) == 3
    assert migrate_cache(old) == 0


def test_entries_name_what_3_x_would_and_comments_stay(old: Repository) -> None:
    migrate_cache(old)
    assert [old.shown(file) for file in legacy_files(old)] == ["d.dvc", "dvc.lock", "t.csv.dvc"]
    migrated = migrate_metafiles(old)
    assert migrated.files == ("d.dvc", "dvc.lock", "t.csv.dvc") and not migrated.left
    text = digest((old.root / "t.csv").read_bytes())
    assert (old.root / "t.csv.dvc").read_text() == f"# a note\nouts:\n- md5: {text}\n  size: 10\n  path: t.csv\n  hash: md5\n"
    manifest = b'[{"md5": "%s", "relpath": "1"}]' % digest(b"x\r\n").encode()
    assert digest(manifest) in (old.root / "d.dvc").read_text()
    assert old.cache.read(f"{digest(manifest)}.dir") == manifest
    assert (old.root / "dvc.lock").read_text().count(f"hash: md5\n      md5: {text}") == 2
    assert legacy_files(old) == []


def test_what_changed_in_the_workspace_is_not_recorded(old: Repository) -> None:
    recorded = digest((old.root / "t.csv").read_bytes())
    (old.root / "t.csv").write_bytes(b"changed")
    migrate_cache(old)
    migrate_metafiles(old)
    assert recorded in (old.root / "t.csv.dvc").read_text()


def test_an_entry_whose_bytes_are_nowhere_stays(old: Repository) -> None:
    place = Path(old.legacy.place(digest(b"x\n")))
    place.chmod(0o644)
    place.unlink()
    (old.root / "d" / "1").unlink()
    before = (old.root / "d.dvc").read_bytes()
    migrated = migrate_metafiles(old)
    assert [file for file, _ in migrated.left] == ["d.dvc"]
    assert digest(b"x\n") in migrated.left[0][1]
    assert (old.root / "d.dvc").read_bytes() == before
