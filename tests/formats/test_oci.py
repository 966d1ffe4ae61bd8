"""Images as bytes: references, documents, and tars that come out the same."""

import gzip
import io
import tarfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perenne.core.errors import Invalid
from perenne.formats import layers, oci
from perenne.formats.layers import Entry

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("localhost:5000/a/b:1", ("localhost:5000", "a/b", "1", "")),
        ("[::1]:5000/a", ("[::1]:5000", "a", "latest", "")),
        (f"r.example/x@{DIGEST}", ("r.example", "x", "", DIGEST)),
        (f"R.example/x:2@{DIGEST}", ("r.example", "x", "2", DIGEST)),
    ],
)
def test_a_reference_is_taken_apart(text: str, parts: tuple[str, str, str, str]) -> None:
    found = oci.parse_reference(text)
    assert (found.registry, found.name, found.tag, found.digest) == parts


@pytest.mark.parametrize(
    "text",
    ["", "name", "name:tag", "host/name", "r.example/", "r.example/UP", "r.example/a:", "r.example/a:b:c",
     "r.example/a@sha256:12", "r.example/../a", "r.example/a b", "http://r.example/a", "r.example:x/a", "r.example/a@"],
)  # fmt: skip
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        oci.parse_reference(text)


def test_documents_are_canonical_and_read_back() -> None:
    config = oci.describe(oci.CONFIG, b"{}")
    manifest = oci.Manifest(schema_version=2, media_type=oci.MANIFEST, config=config, layers=(config,))
    data = oci.write(manifest)
    assert oci.read(data, oci.Manifest, "manifest") == manifest
    assert data == oci.write(oci.read(data, oci.Manifest, "manifest"))
    assert data.startswith(b'{"config":{"digest":"sha256:44136') and b"subject" not in data


@pytest.mark.parametrize("digest", ["md5:1", "sha256:../../etc/passwd", "sha256:" + "A" * 64])
def test_a_document_that_points_elsewhere_is_refused(digest: str) -> None:
    pointer = oci.Descriptor(media_type=oci.LAYER, digest=digest, size=1)
    with pytest.raises(Invalid):
        oci.read(oci.write(oci.Index(schema_version=2, manifests=(pointer,))), oci.Index, "index")


def test_a_tar_is_what_every_tool_reads() -> None:
    files = [Entry("opt/é.py", 3), Entry("bin/run", 2, executable=True)]
    entries = [*files, Entry("bin/other", target="run"), Entry("tmp", folder=True, shared=True)]
    data = b""
    for entry in layers.with_folders(entries):
        data += layers.header(entry) + b"x" * entry.size + layers.padding(entry.size)
    with tarfile.open(fileobj=io.BytesIO(data + layers.END)) as archive:
        found = {member.name: member for member in archive.getmembers()}
    assert list(found) == ["bin", "bin/other", "bin/run", "opt", "opt/é.py", "tmp"]
    assert {name: member.mode for name, member in found.items()} == {
        "bin": 0o755, "bin/other": 0o777, "bin/run": 0o755, "opt": 0o755, "opt/é.py": 0o644, "tmp": 0o1777,
    }  # fmt: skip
    assert {(member.mtime, member.uid, member.gid, member.uname, member.gname) for member in found.values()} == {
        (0, 0, 0, "", "")
    }
    assert found["bin/other"].linkname == "run"


@pytest.mark.parametrize("path", ["../a", "/etc/passwd", "a/../b", "opt/.wh.python", ".wh..wh..opq"])
def test_a_path_that_leaves_or_hides_is_refused(path: str) -> None:
    with pytest.raises(Invalid):
        layers.header(Entry(path))


@settings(max_examples=25)
@given(st.lists(st.binary(max_size=300), max_size=5), st.integers(1, 9))
def test_gzip_is_the_same_however_it_is_cut(pieces: list[bytes], level: int) -> None:
    whole = b"".join(pieces)
    packed = b"".join(layers.gzip(iter(pieces), level))
    assert gzip.decompress(packed) == whole
    assert packed == b"".join(layers.gzip([whole], level))
    assert packed[4:10] == b"\0\0\0\0\0\xff" and zlib.decompress(packed, 31) == whole


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('Bearer realm="https://a/t",service="s"', {"realm": "https://a/t", "service": "s"}),
        ('Bearer realm="x",scope="repository:a:pull,push"', {"realm": "x", "scope": "repository:a:pull,push"}),
        ("Digest realm=x", None),
        ("", None),
    ],
)
def test_challenges(header: str, expected: dict[str, str] | None) -> None:
    found = oci.parse_challenge(header)
    assert (found and found.parameters) == expected
