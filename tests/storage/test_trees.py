"""Folders by content, and names that try to leave their folder."""

import os
from pathlib import Path

import pytest

from perenne.core import json
from perenne.core.errors import Invalid, NotFound, Unavailable
from perenne.storage.objects import FileObjects, ObjectStore, open_objects
from perenne.storage.trees import Tree, TreeFile, fetch_tree, get_tree, put_tree


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "folder"
    for name, data in {"b.txt": b"b", "a/c.bin": b"\0c", "a/d/e": b"", "a.txt": b"a"}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_folder_comes_back_whole(objects: ObjectStore, folder: Path, tmp_path: Path) -> None:
    digest = put_tree(objects, folder)
    tree = get_tree(objects, digest)
    assert [file.path for file in tree.files] == ["a.txt", "a/c.bin", "a/d/e", "b.txt"]
    assert tree.size == 4
    fetch_tree(objects, digest, tmp_path / "copy")
    assert contents(tmp_path / "copy") == contents(folder)
    assert put_tree(objects, tmp_path / "copy") == digest


def test_links_and_pipes_are_not_kept(objects: ObjectStore, folder: Path) -> None:
    (folder / "link").symlink_to("/etc/passwd")
    with pytest.raises(Invalid, match="link is not a plain file"):
        put_tree(objects, folder)
    (folder / "link").unlink()
    os.mkfifo(folder / "pipe")
    with pytest.raises(Invalid, match="pipe"):
        put_tree(objects, folder)


def test_what_is_no_folder_is_refused(objects: ObjectStore, folder: Path) -> None:
    with pytest.raises(Invalid) as error:
        put_tree(objects, folder / "missing")
    assert error.value.code == "tree.folder"


def forged(objects: ObjectStore, *paths: str, digest: str = "") -> str:
    content = digest or objects.put(b"x")
    return objects.put(json.canonical(Tree(tuple(TreeFile(path, 1, content) for path in paths))))


@pytest.mark.parametrize(
    "path",
    ["../up", "a/../../up", "/etc/passwd", "", ".", "a//b", "a/./b", "a\\..\\b", "a\0b", "%2e%2e/up", "..;/up", "C:x", "x" * 256],
)
def test_a_tree_that_leads_out_of_its_folder_writes_nothing(objects: ObjectStore, path: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid):
        fetch_tree(objects, forged(objects, "good", path), tmp_path / "inner" / "folder")
    assert not (tmp_path / "inner").exists()


def test_a_link_inside_the_folder_is_not_followed_out_of_it(objects: ObjectStore, tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (inside / "a").symlink_to(outside)
    with pytest.raises(Invalid):
        fetch_tree(objects, forged(objects, "a/b"), inside)
    assert list(outside.iterdir()) == []


def test_a_malformed_tree_is_refused(objects: ObjectStore) -> None:
    for digest in (
        forged(objects, "a", "a"),
        forged(objects, "a", digest="../../../etc/passwd"),
        objects.put(b"no json"),
        objects.put(b'{"files": [{"path": 1}]}'),
    ):
        with pytest.raises(Invalid):
            get_tree(objects, digest)


def test_a_missing_file_of_a_tree_is_named(objects: ObjectStore, folder: Path, tmp_path: Path) -> None:
    digest = put_tree(objects, folder)
    objects.delete(get_tree(objects, digest).files[0].digest)
    with pytest.raises(NotFound):
        fetch_tree(objects, digest, tmp_path / "copy")


def test_a_damaged_tree_is_noticed(objects: ObjectStore, folder: Path, tmp_path: Path) -> None:
    digest = put_tree(objects, folder)
    path = tmp_path / ".perenne" / "objects" / digest[:2] / digest[2:]
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"a.txt", b"z.txt"))
    with pytest.raises(Unavailable):
        get_tree(objects, digest)


def test_a_folder_goes_through_a_bucket_and_comes_back(s3: str, folder: Path, tmp_path: Path) -> None:
    for number in range(40):
        (folder / f"{number}.txt").write_text(str(number))
    objects = open_objects(s3)
    digest = put_tree(objects, folder)
    assert len(list(objects.digests())) == 45
    fetch_tree(objects, digest, tmp_path / "copy")
    assert contents(tmp_path / "copy") == contents(folder)
    assert put_tree(FileObjects(tmp_path / "other"), folder) == digest
    objects.delete(get_tree(objects, digest).files[3].digest)
    with pytest.raises(NotFound):
        fetch_tree(open_objects(s3, cached=False), digest, tmp_path / "again")
