"""OpenSSF model signing, v1.0: what is signed, and the bundle it travels in. Pure; keys are somebody else's business.

A bundle is a Sigstore bundle v0.3 in JSON. Its DSSE envelope holds an in-toto Statement v1 whose predicate,
``https://model_signing/signature/v1.0``, names every file with its SHA-256; the subject's digest is the SHA-256 of these digests,
in their order. What is signed is the envelope's PAE: type and payload with their lengths.

Sources: github.com/sigstore/model-transparency (`model_signing` 1.1), secure-systems-lab/dsse, in-toto/attestation.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from perenne.core import json
from perenne.core.errors import Invalid
from perenne.core.hashing import is_digest
from perenne.core.paths import check_name

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://model_signing/signature/v1.0"
MAX_BUNDLE = 16 << 20


class Bundle(msgspec.Struct, frozen=True):
    """What a bundle holds: the payload that was signed, its signature, and by which key or certificates.

    Attributes
    ----------
    hint : str
        SHA-256 of the public key in PEM form; empty if certificates are given, or none was.
    chain : tuple of bytes
        Certificates in DER form, the signer's first.
    """

    payload: bytes
    signature: bytes
    hint: str = ""
    chain: tuple[bytes, ...] = ()


class Manifest(msgspec.Struct, frozen=True):
    """What was signed: the model's name, and the SHA-256 of each file by its path; some paths may have been left out."""

    name: str
    files: dict[str, str]
    ignored: tuple[str, ...] = ()


def statement(name: str, files: Mapping[str, str]) -> bytes:
    """Write what is to be signed: every file of a folder by its SHA-256, sorted by path.

    >>> read_statement(statement("churn@3", {"a.json": "0" * 64})).files == {"a.json": "0" * 64}
    True
    """
    resources = [{"name": path, "algorithm": "sha256", "digest": files[path]} for path in sorted(files)]
    return json.canonical(
        {
            "_type": STATEMENT,
            "subject": [{"name": name, "digest": {"sha256": _root([files[path] for path in sorted(files)])}}],
            "predicateType": PREDICATE,
            "predicate": {
                "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False},
                "resources": resources,
            },
        }
    )


def _root(digests: Sequence[str]) -> str:
    return hashlib.sha256(b"".join(bytes.fromhex(digest) for digest in digests)).hexdigest()


def encoded(payload: bytes) -> bytes:
    """Return the bytes a signature is over (DSSE's pre-authentication encoding).

    >>> encoded(b"{}")
    b'DSSEv1 28 application/vnd.in-toto+json 2 {}'
    """
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD), PAYLOAD.encode(), len(payload), payload)


def write_bundle(bundle: Bundle) -> bytes:
    """Write a bundle as a file."""
    if bundle.chain:
        material: dict[str, Any] = {"x509CertificateChain": {"certificates": [{"rawBytes": _text(der)} for der in bundle.chain]}}
    else:
        material = {"publicKey": {"hint": bundle.hint}}
    envelope = {
        "payload": _text(bundle.payload),
        "payloadType": PAYLOAD,
        "signatures": [{"sig": _text(bundle.signature), "keyid": ""}],
    }
    return json.canonical(
        {"mediaType": BUNDLE, "verificationMaterial": {**material, "tlogEntries": []}, "dsseEnvelope": envelope}
    )


class _Certificate(msgspec.Struct, rename="camel"):
    raw_bytes: str


class _Chain(msgspec.Struct):
    certificates: list[_Certificate] = []


class _PublicKey(msgspec.Struct):
    hint: str | None = None


class _Material(msgspec.Struct, rename="camel"):
    public_key: _PublicKey | None = None
    certificate: _Certificate | None = None
    chain: _Chain | None = msgspec.field(name="x509CertificateChain", default=None)


class _Signature(msgspec.Struct):
    sig: str


class _Envelope(msgspec.Struct, rename="camel"):
    payload: str
    payload_type: str
    signatures: list[_Signature]


class _File(msgspec.Struct, rename="camel"):
    media_type: str
    verification_material: _Material
    dsse_envelope: _Envelope


def read_bundle(data: bytes) -> Bundle:
    """Read a bundle; nothing of it is verified yet.

    Raises
    ------
    Invalid
        If it is none of version 0.3 with one signature over an in-toto statement.
    """
    if len(data) > MAX_BUNDLE:
        raise _refused(f"it has more than {MAX_BUNDLE >> 20} MiB")
    file = json.decode(data, _File, what="signature")
    if file.media_type != BUNDLE:
        raise _refused(f"its media type is {file.media_type[:100]!r}, known is {BUNDLE}")
    envelope, material = file.dsse_envelope, file.verification_material
    if envelope.payload_type != PAYLOAD or len(envelope.signatures) != 1:
        raise _refused("it does not hold one signature over an in-toto statement")
    certificates = list(material.chain.certificates) if material.chain else []
    certificates = [material.certificate, *certificates] if material.certificate else certificates
    hint = (material.public_key.hint or "") if material.public_key else ""
    return Bundle(
        _bytes(envelope.payload),
        _bytes(envelope.signatures[0].sig),
        hint,
        tuple(_bytes(item.raw_bytes) for item in certificates),
    )


class _Named(msgspec.Struct):
    name: str
    digest: dict[str, str]


class _Resource(msgspec.Struct):
    name: str
    algorithm: str
    digest: str


class _Serialization(msgspec.Struct):
    method: str
    hash_type: str = "sha256"
    ignore_paths: list[str] = []


class _Predicate(msgspec.Struct):
    serialization: _Serialization
    resources: list[_Resource]


class _Statement(msgspec.Struct):
    kind: str = msgspec.field(name="_type")
    subject: list[_Named]
    predicate_type: str = msgspec.field(name="predicateType")
    predicate: _Predicate


def read_statement(payload: bytes) -> Manifest:
    """Read what was signed.

    Raises
    ------
    Invalid
        If it is another kind of statement, not by whole files and SHA-256, or contradicts itself.
    """
    found = json.decode(payload, _Statement, what="signed statement")
    if found.kind != STATEMENT or found.predicate_type != PREDICATE or len(found.subject) != 1:
        raise _refused("it is a statement of another kind")
    how, resources = found.predicate.serialization, found.predicate.resources
    if how.method != "files" or how.hash_type != "sha256" or any(item.algorithm != "sha256" for item in resources):
        raise _refused(f"it signs {how.method[:20]} by {how.hash_type[:20]}; known are whole files by sha256")
    files = {check_name(item.name): item.digest for item in resources}
    if len(files) < len(resources) or not all(is_digest(item.digest) for item in resources):
        raise _refused("it names a file twice, or without a digest")
    if _root([item.digest for item in resources]) != found.subject[0].digest.get("sha256"):
        raise _refused("its files do not add up to the digest of the whole")
    return Manifest(found.subject[0].name, files, tuple(how.ignore_paths))


def differences(signed: Manifest, present: Mapping[str, str]) -> list[str]:
    """Say which files are not as they were signed: changed, missing, or added; the first ones by name.

    >>> differences(Manifest("m", {"a": "1", "b": "2"}), {"a": "1", "b": "3", "c": "4"})
    ['b was changed', 'c was added']
    """
    names = sorted(signed.files.keys() | present.keys())
    return [said for name in names if (said := _difference(name, signed.files.get(name), present.get(name)))]


def _difference(name: str, signed: str | None, present: str | None) -> str:
    if signed == present:
        return ""
    if signed is None:
        return f"{name} was added"
    return f"{name} is missing" if present is None else f"{name} was changed"


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _refused("a part of it is not in base 64") from None


def _refused(why: str) -> Invalid:
    return Invalid(f"the signature cannot be read: {why}", code="signature.format", hint="sign with OpenSSF model signing 1.0")
