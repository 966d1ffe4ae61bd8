"""Bundles and statements of OpenSSF model signing: read back as written, and refused when they are something else."""

import base64

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perenne.core.errors import Invalid
from perenne.formats.model_signing import (
    MAX_BUNDLE,
    Bundle,
    Manifest,
    differences,
    read_bundle,
    read_statement,
    statement,
    write_bundle,
)

FILES = {"package.json": "0" * 64, "monitor/reference.npz": "f" * 64}


@pytest.mark.parametrize("bundle", [Bundle(b"{}", b"sig", "aa"), Bundle(b"{}", b"sig", "", (b"leaf", b"root"))])
def test_a_bundle_is_read_as_it_was_written(bundle: Bundle) -> None:
    assert read_bundle(write_bundle(bundle)) == bundle


def test_a_statement_names_every_file_and_adds_them_up() -> None:
    found = read_statement(statement("late@1", FILES))
    assert found == Manifest("late@1", FILES)
    changed = msgspec.json.decode(statement("late@1", FILES))
    changed["predicate"]["resources"][0]["digest"] = "1" * 64
    with pytest.raises(Invalid, match="do not add up"):
        read_statement(msgspec.json.encode(changed))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("_type",), "https://in-toto.io/Statement/v0.1", "another kind"),
        (("predicateType",), "https://slsa.dev/provenance/v1", "another kind"),
        (("subject",), [], "another kind"),
        (("predicate", "serialization", "method"), "shards", "shards"),
        (("predicate", "serialization", "hash_type"), "blake2b", "blake2b"),
        (("predicate", "resources", 0, "algorithm"), "blake3", "whole files"),
        (("predicate", "resources", 0, "digest"), "00", "without a digest"),
        (("predicate", "resources", 0, "name"), "../up", "relative path"),
        (("predicate", "resources", 0, "name"), "package.json", "twice"),
        (("predicate",), 3, "signed statement"),
    ],
)
def test_a_statement_of_another_kind_is_refused(path: tuple[object, ...], value: object, said: str) -> None:
    changed = msgspec.json.decode(statement("late@1", FILES))
    place = changed
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    with pytest.raises(Invalid, match=said):
        read_statement(msgspec.json.encode(changed))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("mediaType",), "application/vnd.dev.sigstore.bundle+json;version=0.1"),
        (("dsseEnvelope", "payloadType"), "text/plain"),
        (("dsseEnvelope", "signatures"), []),
        (("dsseEnvelope", "payload"), "§"),
        (("dsseEnvelope",), None),
        (("verificationMaterial",), []),
    ],
)
def test_a_bundle_of_another_kind_is_refused(path: tuple[str, ...], value: object) -> None:
    changed = msgspec.json.decode(write_bundle(Bundle(b"{}", b"sig", "aa")))
    place = changed
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    with pytest.raises(Invalid):
        read_bundle(msgspec.json.encode(changed))


def test_a_bundle_without_end_is_not_read() -> None:
    with pytest.raises(Invalid, match="MiB"):
        read_bundle(b" " * (MAX_BUNDLE + 1))


@settings(max_examples=30)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_what_is_no_bundle_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(Invalid):
        read_bundle(data)
    wrapped = {"mediaType": "x", "dsseEnvelope": {"payload": base64.b64encode(data).decode()}, "verificationMaterial": {}}
    with pytest.raises(Invalid):
        read_bundle(msgspec.json.encode(wrapped))


def test_files_that_differ_are_named() -> None:
    signed = Manifest("late@1", FILES)
    assert differences(signed, FILES) == []
    assert differences(signed, {"package.json": "1" * 64, "more": "2" * 64}) == [
        "monitor/reference.npz is missing",
        "more was added",
        "package.json was changed",
    ]
