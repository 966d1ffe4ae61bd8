"""OCI images as bytes: descriptors, manifests, configurations and indexes (image specification 1.1).

Everything written is canonical JSON, so that the same image has the same digest. `formats.layers` writes what a layer holds.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from perenne.core import json
from perenne.core.errors import Invalid

LAYOUT_FILE = "oci-layout"
LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
INDEX_FILE = "index.json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY = "application/vnd.oci.empty.v1+json"
EMPTY_BYTES = b"{}"
BOM = "application/vnd.cyclonedx+json"
REF_NAME = "org.opencontainers.image.ref.name"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
ACCEPTED = (MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_INDEX)
"""What a registry may answer with when a manifest is asked for."""

MAX_DOCUMENT = 4 << 20
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_HOST = re.compile(r"(?:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?")

T = TypeVar("T", bound=msgspec.Struct)


class Platform(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an image runs on: `linux`, `amd64` or `arm64`, and a variant of it."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        """Return it as people write it: `linux/amd64`, `linux/arm/v7`."""
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


class Descriptor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What points to a blob: its type, digest and size."""

    media_type: str
    digest: str
    size: int
    artifact_type: str = ""
    annotations: dict[str, str] = {}
    platform: Platform | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """An image for one platform, or an artifact that refers to one."""

    schema_version: int
    media_type: str = ""
    artifact_type: str = ""
    config: Descriptor
    layers: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    annotations: dict[str, str] = {}


class Index(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Images for several platforms under one name; also the table of contents of a layout."""

    schema_version: int
    media_type: str = ""
    manifests: tuple[Descriptor, ...]
    annotations: dict[str, str] = {}


class HealthCheck(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="pascal"):
    """Docker's extension of the configuration: what tells whether a container is well; times in nanoseconds."""

    test: tuple[str, ...]
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    retries: int = 0


class Process(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="pascal"):
    """What is run, by whom, and where: the part of a configuration that is called `config`."""

    user: str = ""
    exposed_ports: dict[str, dict[str, str]] = {}
    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    volumes: dict[str, dict[str, str]] | None = None
    working_dir: str = ""
    labels: dict[str, str] | None = None
    stop_signal: str = ""
    healthcheck: HealthCheck | None = None


class RootFiles(msgspec.Struct, frozen=True):
    """The layers by the digests of their tars, lowest first."""

    type: str
    diff_ids: tuple[str, ...]


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a layer came from."""

    created: str = ""
    created_by: str = ""
    comment: str = ""
    empty_layer: bool = False


class Config(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The configuration of an image."""

    created: str = ""
    author: str = ""
    architecture: str
    os: str
    variant: str = ""
    config: Process = Process()
    rootfs: RootFiles
    history: tuple[Step, ...] = ()

    @property
    def platform(self) -> Platform:
        """What it runs on."""
        return Platform(self.os, self.architecture, self.variant)


class Reference(msgspec.Struct, frozen=True):
    """Where an image lies in a registry, as people write it."""

    registry: str
    name: str
    tag: str = ""
    digest: str = ""

    @property
    def version(self) -> str:
        """The digest, or else the tag."""
        return self.digest or self.tag

    def __str__(self) -> str:
        """Return it as people write it."""
        text = f"{self.registry}/{self.name}"
        return text + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def parse_reference(text: str) -> Reference:
    """Take a reference apart; the registry is never left out, and a tag not made up but `latest`.

    Raises
    ------
    Invalid
        If it is none.

    >>> parse_reference("registry.example.org:5000/models/churn:3")
    Reference(registry='registry.example.org:5000', name='models/churn', tag='3', digest='')
    >>> parse_reference("ghcr.io/acme/base").tag
    'latest'
    """
    rest, _, digest = text.partition("@")
    registry, _, path = rest.partition("/")
    name, _, tag = path.partition(":")
    names_host = "." in registry or ":" in registry or registry == "localhost"
    right = names_host and _HOST.fullmatch(registry) and len(name) <= 255 and _NAME.fullmatch(name)
    if not right or (tag and not _TAG.fullmatch(tag)) or (":" in path and not tag) or ("@" in text and not is_digest(digest)):
        raise Invalid(
            f"{text[:200]!r} is not where an image can lie in a registry",
            code="oci.reference",
            hint="write registry/name:tag or registry/name@sha256:…, such as registry.example.org/models/churn:3",
        )
    return Reference(registry.lower(), name, tag or ("" if digest else "latest"), digest)


def check_tag(text: str) -> str:
    """Return a tag. Raises Invalid if it cannot be one."""
    if not _TAG.fullmatch(text):
        raise Invalid(f"{text[:140]!r} cannot be a tag", code="oci.tag", hint="letters, digits, `.`, `_`, `-`; at most 128")
    return text


def is_digest(text: str) -> bool:
    """Tell whether the text is a digest as images write it: `sha256:` and 64 hexadecimal digits."""
    return _DIGEST.fullmatch(text) is not None


def digest_of(data: bytes) -> str:
    """Return the digest of a blob.

    >>> digest_of(b"{}")[:20]
    'sha256:44136fa355b36'
    """
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def describe(media_type: str, data: bytes, **more: Any) -> Descriptor:
    """Return what points to a blob."""
    return Descriptor(media_type=media_type, digest=digest_of(data), size=len(data), **more)


def write(document: msgspec.Struct) -> bytes:
    """Write a manifest, an index or a configuration: sorted keys, no spaces."""
    return json.canonical(document)


def read(data: bytes, kind: type[T], what: str) -> T:
    """Read a manifest, an index or a configuration that somebody else wrote.

    Raises
    ------
    Invalid
        If it is none, or points to something by what is no SHA-256.
    """
    if len(data) > MAX_DOCUMENT:
        raise Invalid(f"{what} is larger than {MAX_DOCUMENT >> 20} MiB", code="oci.size", hint="is it an image?")
    document = json.decode(data, kind, what)
    for descriptor in _pointers(document):
        if not is_digest(descriptor.digest) or descriptor.size < 0:
            raise Invalid(
                f"{what} points to {descriptor.digest[:80]!r}, which is not a SHA-256",
                code="oci.digest",
                hint="only blobs named by their SHA-256 are read",
            )
    return document


def _pointers(document: msgspec.Struct) -> tuple[Descriptor, ...]:
    match document:
        case Manifest():
            return (document.config, *document.layers)
        case Index():
            return document.manifests
        case _:
            return ()


def artifact(kind: str, subject: Descriptor, data: bytes, media_type: str, annotations: Mapping[str, str]) -> Manifest:
    """Make the manifest of a file that says something about an image: a referrer of it (1.1, §Guidelines for Artifact Usage)."""
    return Manifest(
        schema_version=2,
        media_type=MANIFEST,
        artifact_type=kind,
        config=describe(EMPTY, EMPTY_BYTES),
        layers=(describe(media_type, data, annotations=dict(annotations)),),
        subject=Descriptor(media_type=subject.media_type, digest=subject.digest, size=subject.size),
    )


class Challenge(msgspec.Struct, frozen=True):
    """How a registry wants to know who asks: `basic`, or `bearer` with where a token is given out, and for what."""

    scheme: str
    parameters: dict[str, str]


_PARAMETERS = re.compile(r'([A-Za-z_]+)="([^"]*)"')
_SCHEME = re.compile(r"\s*([A-Za-z]+)(?:\s+(.*))?", re.DOTALL)


def parse_challenge(header: str) -> Challenge | None:
    """Read the header `WWW-Authenticate`; None if it says nothing that is understood.

    >>> parse_challenge('Bearer realm="https://a.example/token",service="r",scope="repository:x:pull,push"').parameters["scope"]
    'repository:x:pull,push'
    >>> parse_challenge('Basic realm="r"').scheme
    'basic'
    """
    match = _SCHEME.fullmatch(header[:4_096])
    if match is None or match[1].lower() not in ("basic", "bearer"):
        return None
    return Challenge(match[1].lower(), dict(_PARAMETERS.findall(match[2] or "")))
