"""Any tree goes into the cache and comes back as it was: names, bytes, executables, empty folders; DVC sees the same in it."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perenne.data.versions.adding import add
from perenne.data.versions.building import files_of, hash_tree
from perenne.data.versions.checkout import check_out
from perenne.data.versions.committing import commit
from perenne.data.versions.hashing import digest_of
from perenne.data.versions.repository import Repository, init_repository, open_repository
from perenne.data.versions.scanning import scan
from perenne.data.versions.status import find_status
from perenne.formats.dvc.manifests import ManifestEntry, manifest_digest, write_manifest

DVC = os.environ.get("PERENNE_DVC", "")

LETTERS = st.characters(codec="utf-8", exclude_characters="/\0")
NAMES = st.one_of(
    st.sampled_from(
        [
            "a",
            "b",
            "A",
            "a.b",
            "a-b",
            "a b",
            " ",
            "#",
            "*",
            "[x]",
            "-r",
            "~",
            "\\",
            "'",
            '"',
            "new\nline",
            "ü",
            "u\u0308",
            "😀",
            "\x7f",
        ]
    ),
    st.text(LETTERS, min_size=1, max_size=8),
).filter(lambda name: name not in {".", "..", ".dvc", ".git", ".hg", ".dvcignore"} and len(name.encode()) < 200)
CONTENTS = st.one_of(st.binary(max_size=12), st.sampled_from([b"", b"same", b"line\r\n", b"\0" * 300]))
FILES = st.tuples(CONTENTS, st.booleans())
TREES = st.recursive(
    st.dictionaries(NAMES, FILES, max_size=4), lambda inner: st.dictionaries(NAMES, st.one_of(FILES, inner), max_size=3)
)


def build(folder: Path, tree: dict[str, Any]) -> None:
    folder.mkdir(exist_ok=True)
    for name, node in tree.items():
        if isinstance(node, dict):
            build(folder / name, node)
        else:
            content, runs = node
            (folder / name).write_bytes(content)
            (folder / name).chmod(0o755 if runs else 0o644)


def seen(folder: Path) -> dict[str, tuple[bytes, bool] | None]:
    """Return every file with its bytes and whether its owner may run it; None for a folder without anything in it."""
    found: dict[str, tuple[bytes, bool] | None] = {}
    for place, folders, names in os.walk(folder):
        below = os.path.relpath(place, folder)
        if not folders and not names:
            found[below] = None
        for name in names:
            path = Path(place, name)
            found[os.path.normpath(f"{below}/{name}")] = (path.read_bytes(), bool(path.stat().st_mode & 0o100))
    return found


def is_as(folder: Path, wanted: dict[str, tuple[bytes, bool] | None]) -> bool:
    """Tell whether a folder has these files and no others, and the empty folders; those that were there before may stay."""
    now = {path: value for path, value in seen(folder).items() if value is not None}
    empty = [path for path, value in wanted.items() if value is None]
    return now == {path: value for path, value in wanted.items() if value} and all((folder / path).is_dir() for path in empty)


@contextmanager
def room() -> Iterator[Repository]:
    with tempfile.TemporaryDirectory() as place, init_repository(Path(place), no_scm=True) as repository:
        yield repository


def round_trip(repository: Repository, tree: dict[str, Any], changed: dict[str, Any]) -> None:
    folder = repository.root / "tree"
    build(folder, tree)
    before = seen(folder)
    add(repository, [folder])
    first = (repository.root / "tree.dvc").read_bytes()
    entries = [
        ManifestEntry(path.removeprefix("./"), digest_of(str(folder / path)).hex()) for path, value in before.items() if value
    ]
    assert manifest_digest(write_manifest(entries)).encode() in first
    assert [item.state for item in find_status(repository)] == ["unchanged"]

    shutil.rmtree(folder)
    build(folder, changed)
    after = seen(folder)
    commit(repository)
    (repository.root / "tree.dvc").replace(repository.root / "second")
    (repository.root / "tree.dvc").write_bytes(first)
    repository.forget()
    assert check_out(repository).failed == () and is_as(folder, before)
    assert [item.state for item in find_status(repository)] == ["unchanged"]

    (repository.root / "second").replace(repository.root / "tree.dvc")
    repository.forget()
    assert check_out(repository).failed == () and is_as(folder, after)
    again = scan(folder)
    hash_tree(again, repository.state)
    assert files_of(again) == {path: digest_of(str(folder / path)).hex() for path, value in after.items() if value}


@settings(max_examples=12)
@given(tree=TREES, changed=TREES)
def test_any_tree_comes_back(tree: dict[str, Any], changed: dict[str, Any]) -> None:
    with room() as repository:
        round_trip(repository, tree, changed)


@pytest.mark.long
@settings(max_examples=400)
@given(tree=TREES, changed=TREES)
def test_any_of_many_trees_comes_back(tree: dict[str, Any], changed: dict[str, Any]) -> None:
    with room() as repository:
        round_trip(repository, tree, changed)


@pytest.mark.long
@pytest.mark.skipif(not DVC, reason="PERENNE_DVC names no DVC")
@settings(max_examples=8)
@given(tree=TREES)
def test_dvc_reads_and_writes_the_same(tree: dict[str, Any]) -> None:
    """Ours is added by us and read by DVC, and the other way round; folders alone, which no manifest holds, apart."""
    with room() as repository, tempfile.TemporaryDirectory() as site:
        environment = os.environ | {"DVC_SITE_CACHE_DIR": site, "DVC_NO_ANALYTICS": "1"}

        def dvc(*words: str) -> str:
            return subprocess.run(
                [DVC, *words], cwd=repository.root, check=True, capture_output=True, text=True, env=environment
            ).stdout

        build(repository.root / "tree", tree)
        before = {path: value and value[0] for path, value in seen(repository.root / "tree").items() if value}
        add(repository, [repository.root / "tree"])
        written = (repository.root / "tree.dvc").read_bytes()
        assert json.loads(dvc("status", "--json")) == {}
        shutil.rmtree(repository.root / "tree")
        dvc("checkout", "-q")
        assert {path: value and value[0] for path, value in seen(repository.root / "tree").items() if value} == before
        (repository.root / "tree.dvc").unlink()
        shutil.rmtree(repository.root / ".dvc/cache")
        dvc("add", "-q", "tree")
        assert (repository.root / "tree.dvc").read_bytes() == written
        with open_repository(repository.root) as again:
            assert [item.state for item in find_status(again)] == ["unchanged"]
            shutil.rmtree(repository.root / "tree")
            assert check_out(again).failed == ()
            assert {path: value and value[0] for path, value in seen(repository.root / "tree").items() if value} == before
