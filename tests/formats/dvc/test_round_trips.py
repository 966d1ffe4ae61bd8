"""Whatever is written is read again; the quick ways write what the library writes."""

import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perenne.formats.dvc import configs, documents, locks
from perenne.formats.dvc.entries import CloudFile, Entry, RepoSource
from perenne.formats.dvc.manifests import ManifestEntry, folders_of, read_manifest, write_manifest
from perenne.formats.dvc.metafiles import MetaFile, read_metafile, write_metafile, written_metafile

FEW, MANY = settings(max_examples=20, deadline=None), settings(max_examples=1500, deadline=None)

CHARACTERS = st.characters(codec="utf-8", exclude_characters="\0/\x85\u2028\u2029")  # ruamel.yaml loses the last three
NAMES = st.text(CHARACTERS, min_size=1, max_size=10).filter(lambda name: name not in (".", ".."))
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
MD5 = st.text("0123456789abcdef", min_size=32, max_size=32)
DIGESTS = MD5 | MD5.map("{}.dir".format)
TEXTS = st.text(string.printable, max_size=12)
FLOATS = st.integers(-(10**6), 10**6).map(
    lambda number: number / 1000
)  # ruamel.yaml changes the last digits of 2.2229118448649402e+30
PLAIN = st.none() | st.booleans() | st.integers() | TEXTS | FLOATS
NOTES = st.dictionaries(TEXTS, PLAIN | st.lists(PLAIN, max_size=2), min_size=1, max_size=3)
CLOUD = st.dictionaries(st.just("s3"), st.fixed_dictionaries({"etag": MD5, "version_id": MD5}), min_size=1)
FILES = st.lists(st.builds(CloudFile, relpath=PATHS, md5=MD5, size=st.integers(0, 9), cloud=CLOUD), min_size=1, max_size=3)
ENTRIES = st.builds(
    Entry,
    path=PATHS,
    digest=DIGESTS,
    algorithm=st.sampled_from(["md5", "md5-dos2unix"]),
    size=st.none() | st.integers(0, 10**12),
    nfiles=st.none() | st.integers(0, 100),
    isexec=st.booleans(),
    cloud=st.none() | CLOUD,
    desc=st.none() | TEXTS.filter(bool),
    type=st.none() | TEXTS.filter(bool),
    labels=st.lists(TEXTS, max_size=2).map(tuple),
    meta=st.none() | NOTES,
    cache=st.booleans(),
    persist=st.booleans(),
    remote=st.none() | TEXTS.filter(bool),
    push=st.booleans(),
)
IMPORTED = st.builds(
    Entry, path=PATHS, repo=st.builds(RepoSource, url=TEXTS.filter(bool), rev=st.none() | TEXTS.filter(bool), rev_lock=MD5)
)
META_FILES = st.builds(
    MetaFile,
    outs=ENTRIES.map(lambda entry: (entry,)),
    deps=st.just(()) | IMPORTED.map(lambda entry: (entry,)),
    frozen=st.booleans(),
    desc=st.none() | TEXTS.filter(bool),
    md5=st.none() | MD5,
    meta=st.none() | NOTES,
)


def comes_back(meta: MetaFile) -> None:
    data = write_metafile(meta)
    assert read_metafile(data, "x") == meta
    assert write_metafile(meta, data) is data


@FEW
@given(META_FILES)
def test_a_metafile_comes_back(meta: MetaFile) -> None:
    comes_back(meta)


@pytest.mark.long
@MANY
@given(META_FILES)
def test_a_metafile_comes_back_at_length(meta: MetaFile) -> None:
    comes_back(meta)


def edits_as_the_library_does(one: MetaFile, other: MetaFile, comment: str) -> None:
    old = comment.encode() + write_metafile(one)
    new = write_metafile(other, old)
    assert read_metafile(new, "x") == other
    if new is not old:
        assert new == documents.edit_by_library(old.decode(), written_metafile(other), "x")


@FEW
@given(META_FILES, META_FILES, st.sampled_from(["", "# a note\n"]))
def test_an_edit_is_what_the_library_makes_of_it(one: MetaFile, other: MetaFile, comment: str) -> None:
    edits_as_the_library_does(one, other, comment)


@pytest.mark.long
@MANY
@given(META_FILES, META_FILES, st.sampled_from(["", "# a note\n"]))
def test_an_edit_is_what_the_library_makes_of_it_at_length(one: MetaFile, other: MetaFile, comment: str) -> None:
    edits_as_the_library_does(one, other, comment)


@FEW
@given(st.lists(FILES.map(tuple), min_size=1, max_size=1))
def test_a_directory_under_a_remote_that_keeps_versions_has_a_digest(files: list[tuple[CloudFile, ...]]) -> None:
    listed = {file.relpath: file for file in files[0]}
    folders = folders_of(listed)
    kept = tuple(sorted((file for path, file in listed.items() if path not in folders), key=lambda file: file.relpath))
    data = write_metafile(MetaFile(outs=(Entry(path="d", files=kept),)))
    entry = read_metafile(data, "x").outs[0]
    assert entry.files == kept and entry.is_dir and entry.nfiles == len(kept)
    assert b"nfiles" not in data and str(entry.digest).encode() not in data


@FEW
@given(
    st.dictionaries(st.text("ab-.ü😀\n/", min_size=1).map(lambda text: "x" + text.strip("/").replace("//", "_")), MD5, max_size=6)
)
def test_a_manifest_comes_back_in_the_order_of_code_points(files: dict[str, str]) -> None:
    entries = [ManifestEntry(path, digest) for path, digest in files.items() if "/." not in path]
    folders = {
        "/".join(entry.relpath.split("/")[:depth]) for entry in entries for depth in range(1, entry.relpath.count("/") + 1)
    }
    entries = [entry for entry in entries if entry.relpath not in folders]
    assert list(read_manifest(write_manifest(entries), "x")) == sorted(entries, key=lambda entry: entry.relpath)


SEEN = st.builds(Entry, path=PATHS, digest=DIGESTS, size=st.none() | st.integers(0, 9), isexec=st.booleans())
STAGES = st.builds(
    locks.LockedStage,
    cmd=TEXTS.filter(bool) | st.lists(TEXTS, min_size=1, max_size=2) | st.just("mkdir -p out && cat " + "data/x " * 14),
    deps=st.lists(SEEN, max_size=2, unique_by=lambda entry: entry.path).map(tuple),
    params=st.just({}) | st.fixed_dictionaries({"params.yaml": st.dictionaries(TEXTS, PLAIN, min_size=1, max_size=2)}),
    outs=SEEN.map(lambda entry: (entry,)),
)
SAVED = st.lists(st.tuples(st.sampled_from(["a", "b", "m@1-x y", "e@2", "yes"]), STAGES), min_size=1, max_size=5)


def saves_as_the_library_does(steps: list[tuple[str, locks.LockedStage]]) -> None:
    data: bytes | None = None
    seen: dict[str, Any] = {}
    for name, stage in steps:
        keys = locks.written_stage(stage)
        document: Any = documents.library().load(data.decode()) if data else {"schema": "2.0", "stages": {}}
        document["stages"][name] = keys
        expected = documents.dump_by_library(document)
        data = locks.write_stage(data, name, stage)
        assert data == expected
        seen[name] = keys
        assert locks.write_stage(data, name, stage) is data
    assert {name: locks.written_stage(stage) for name, stage in locks.read_lock(data or b"").stages.items()} == seen


@FEW
@given(SAVED)
def test_stages_are_saved_as_the_library_does_it(steps: list[tuple[str, locks.LockedStage]]) -> None:
    saves_as_the_library_does(steps)


@pytest.mark.long
@MANY
@given(SAVED)
def test_stages_are_saved_as_the_library_does_it_at_length(steps: list[tuple[str, locks.LockedStage]]) -> None:
    saves_as_the_library_does(steps)


def test_a_stage_is_taken_out_of_a_lock() -> None:
    one = locks.LockedStage(cmd="one")
    both = locks.write_stage(locks.write_stage(None, "a", one), "b", one)
    assert locks.without_stage(both, "b") == locks.write_stage(None, "a", one)
    assert locks.without_stage(both, "c") is both
    assert locks.without_stage(locks.write_stage(None, "a", one), "a") is None


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["core", "cache", 'remote "a"', 'remote "b"']), st.sampled_from(["url", "type"]), st.none() | TEXTS
    ),
    max_size=8,
)


def others(config: configs.Config, section: str, key: str) -> dict[tuple[str, str], str]:
    flat = {(name, other): keys[other] for name, keys in config.items() for other in keys}
    return {place: value for place, value in flat.items() if place != (section, key)}


@FEW
@given(CHANGES, st.sampled_from([b"", b"# a note\n[core]\n    # about it\n    type = x\n"]))
def test_a_config_keeps_what_is_set_and_its_comments(changes: list[tuple[str, str, str | None]], data: bytes) -> None:
    for section, key, value in changes:
        before = configs.read_config(data)
        if value is not None and (
            "\n" in value or '"' in value or "'" in value or "\r" in value or "\x0b" in value or "\x0c" in value
        ):
            continue
        data = configs.write_config(data, section, key, value)
        after = configs.read_config(data)
        assert after.get(section, {}).get(key) == value
        kept = {(name, other): keys[other] for name, keys in before.items() for other in keys if (name, other) != (section, key)}
        assert kept == {
            (name, other): keys[other] for name, keys in after.items() for other in keys if (name, other) != (section, key)
        }
    assert b"# a note" in data or not data.startswith(b"#")
