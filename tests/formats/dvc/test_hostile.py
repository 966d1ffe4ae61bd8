"""Metafiles come from anybody: what is wrong is refused, with file and field."""

import json

import pytest

from perenne.core.errors import Invalid
from perenne.formats.dvc.configs import read_config
from perenne.formats.dvc.documents import load
from perenne.formats.dvc.entries import place_of
from perenne.formats.dvc.locks import read_lock
from perenne.formats.dvc.manifests import read_manifest
from perenne.formats.dvc.metafiles import read_metafile

MD5 = "60b725f10c9c85c70d97880dfe8191b3"


def manifest(*paths: str, md5: str = MD5) -> bytes:
    return json.dumps([{"md5": md5, "relpath": path} for path in paths]).encode()


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../b", "a//b", "", ".", "a/.", "a\0b", "a/", "..", "./a"])
def test_a_path_out_of_the_directory(path: str) -> None:
    with pytest.raises(Invalid, match=r"the manifest x\.dir names") as refused:
        read_manifest(manifest("fine", path), "x.dir")
    assert refused.value.code == "data.path_escape"


@pytest.mark.parametrize("path", ["..a", "a..", "a/...", "a b", "\n", "ü/😀", "a\\b", "~", "-rf"])
def test_strange_paths_are_paths(path: str) -> None:
    assert read_manifest(manifest(path), "x.dir")[0].relpath == path


@pytest.mark.parametrize("md5", ["", "x" * 32, MD5.upper(), MD5[:-1], MD5 + ".dir", " " * 32, MD5[:-2] + "\n\n"])
def test_a_hash_that_is_none(md5: str) -> None:
    with pytest.raises(Invalid, match="which is no md5"):
        read_manifest(manifest("fine", md5=md5), "x.dir")


@pytest.mark.parametrize(("paths", "said"), [(("a", "a"), "names 'a' twice"), (("a", "a-b", "a/b"), "both a file and a folder")])
def test_entries_that_exclude_each_other(paths: tuple[str, ...], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        read_manifest(manifest(*paths), "x.dir")


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[1]", b'[{"md5": "x"}]', b"[", b"\xff", b'[{"md5": 1, "relpath": "a"}]', b"[" * 10000]
)
def test_no_manifest_at_all(data: bytes) -> None:
    with pytest.raises(Invalid, match="cannot be read"):
        read_manifest(data, "x.dir")


OUT = f"outs:\n- md5: {MD5}\n  hash: md5\n  path: data\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a\n", "a.dvc is not a mapping"),
        ("outs: 1\n", "'outs' must be a list"),
        ("outs:\n- 1\n", r"a.dvc, outs\[0\]"),
        ("outs:\n- md5: abc\n  path: x\n", r"a.dvc, outs\[0\]: 'abc' is no md5"),
        (f"outs:\n- md5: {MD5}/../x\n  path: x\n", "is no md5"),
        (f"outs:\n- md5: {MD5}\n", "'path' is missing"),
        ('outs:\n- path: "a\\0b"\n', "no path"),
        (f"{OUT}- path: data\n", "a path twice"),
        (f"{OUT}  size: big\n", r"outs\[0\]: .*size"),
        (f"{OUT}frozen: maybe\n", "'frozen' must be true or false"),
        (f"{OUT}cmd: 1\n", "'cmd' must be"),
        (f"{OUT}outs: []\n", "the key 'outs' twice"),
        (f"outs:\n- path: d\n  hash: md5\n  files:\n  - relpath: ../x\n    md5: {MD5}\n", "no path inside a directory"),
        (f"outs:\n- path: d\n  hash: md5\n  files:\n  - relpath: x\n    md5: {MD5}x\n", "is no md5"),
        ("a: [", "is not YAML: line 2"),
        ("a: b: c\n", "is not YAML: line 1"),
        ("a: !!python/object/apply:os.system ['true']\n", "is not plain data"),
        ("a: !!binary x\n", "does not fit"),
        ("a: *b\n", "has no anchor"),
        ("---\na: 1\n---\nb: 1\n", "a second document"),
        ("? [a]\n: 1\n", "as a key"),
        ("[" * 5000, "deep"),
        ("".join(f"{' ' * i}a:\n" for i in range(300)), "deep"),
    ],
)
def test_a_metafile_that_is_none(text: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        read_metafile(text.encode(), "a.dvc")


def test_aliases_that_multiply() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    with pytest.raises(Invalid, match="once its aliases are written out"):
        load("\n".join(lines).encode(), "x")


def test_text_that_is_no_text() -> None:
    with pytest.raises(Invalid, match="not UTF-8"):
        read_metafile(b"outs:\n- path: \xff\n", "a.dvc")


@pytest.mark.parametrize(
    ("path", "folder"), [("../x", ""), ("/etc/passwd", "a"), ("../../x", "a"), (".", ""), ("..", "a"), ("a/../../x", "")]
)
def test_an_output_outside_of_the_repository(path: str, folder: str) -> None:
    with pytest.raises(Invalid, match="outside of the repository"):
        place_of(path, folder, "a.dvc")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stages: {}\n", "'schema' must be"),
        ("schema: '1.0'\n", "'schema' must be"),
        ("schema: '2.0'\nstages: []\nx: 1\n", "the key 'x' is unknown"),
        ("schema: '2.0'\nstages: [1]\n", "must be a mapping"),
        ("schema: '2.0'\nstages:\n  a:\n    cmd:\n", "stage 'a': 'cmd' is missing"),
        (
            "schema: '2.0'\nstages:\n  a:\n    cmd: x\n    outs:\n    - path: o\n      md5: zz\n",
            r"stage 'a', outs\[0\]: 'zz' is no md5",
        ),
        ("schema: '2.0'\nstages:\n  a:\n    cmd: x\n    params: 1\n", "'params' must be"),
        ("schema: '2.0'\nstages:\n  a:\n    cmd: x\n    colour: red\n", "the key 'colour' is unknown"),
    ],
)
def test_a_lock_that_is_none(text: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        read_lock(text.encode())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n", "line 1"),
        ("[a]\nx\n", "line 2"),
        ("[a]\n[A]\n", "twice"),
        ("[a]\nx = 1\nX = 2\n", "twice"),
        ('[a]\nx = "y\n', "quotes"),
    ],
)
def test_a_config_that_is_none(text: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        read_config(text.encode())
