"""Where cloud objects are: buckets by URL, reached as the environment says. Credentials never stand in a URL.

===================== ==================== ============================================ ==================
URL                   store                credentials                                  endpoint
===================== ==================== ============================================ ==================
`s3://bucket/prefix`  S3, or what speaks   `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` `AWS_ENDPOINT_URL`
                      its protocol         …, or the role of the machine
`gs://bucket/prefix`  Google Cloud Storage `GOOGLE_APPLICATION_CREDENTIALS` …           `GOOGLE_BASE_URL`
`az://name/prefix`    Azure Blob Storage   `AZURE_STORAGE_ACCOUNT_NAME`,                `AZURE_ENDPOINT`
                                           `AZURE_STORAGE_ACCOUNT_KEY` …
===================== ==================== ============================================ ==================
"""

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

import msgspec

from perenne.core.errors import Invalid

if TYPE_CHECKING:
    from obstore.store import AzureStore, GCSStore, RetryConfig, S3Store

    Opened = S3Store | GCSStore | AzureStore

SCHEMES = {"s3": "S3", "gs": "Google Cloud Storage", "az": "Azure Blob Storage"}

CONNECT_S, SILENCE_S, TRYING_S = 3, 5, 6
"""How long a connection may take and an answer may be silent, and how long after the first try another one may begin."""

UPLOAD_SILENCE_S = 120
"""How long the answer to a large part may take: its upload counts."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_SEGMENT = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9!_.*'()=+-]+")
_ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
_ALLOW_HTTP = {"s3": "AWS_ALLOW_HTTP", "gs": "GOOGLE_ALLOW_HTTP", "az": "AZURE_ALLOW_HTTP"}


class Bucket(msgspec.Struct, frozen=True):
    """A place in a cloud's object store: which cloud, the bucket's name, and below what prefix."""

    scheme: str
    name: str
    prefix: str = ""

    @property
    def url(self) -> str:
        """The URL that names it."""
        return f"{self.scheme}://{self.name}" + (f"/{self.prefix}" if self.prefix else "")


def split_url(url: str) -> SplitResult:
    """Take a URL apart. Raises Invalid if it is none."""
    try:
        return urlsplit(url)
    except ValueError:
        raise _invalid("cannot be read", "such as file:///srv/objects or s3://bucket/prefix") from None


def parse_bucket(url: str) -> Bucket:
    """Read the URL of a bucket.

    Raises
    ------
    Invalid
        If something in it is wrong; the message names it, and repeats nothing that may be a secret.

    >>> parse_bucket("s3://models/team-a/")
    Bucket(scheme='s3', name='models', prefix='team-a')
    """
    parts = split_url(url)
    if "@" in parts.netloc or ":" in parts.netloc:
        raise _invalid(
            "holds a user name, password or port",
            "credentials and endpoints come from the environment, as the cloud's own tools read them",
        )
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise _invalid("has something after a ? or #", "a bucket and a prefix are all it says: s3://bucket/prefix")
    if _NAME.fullmatch(parts.netloc) is None:
        raise _invalid(f"names no bucket: {parts.netloc[:70]!r}", "s3://bucket/prefix")
    prefix = parts.path.removeprefix("/").removesuffix("/")
    for segment in prefix.split("/") if prefix else []:
        if _SEGMENT.fullmatch(segment) is None:
            raise _invalid(f"has {segment[:40]!r} in its prefix", "letters, digits and !_.*'()=+- between single slashes")
    return Bucket(parts.scheme, parts.netloc, prefix)


def _invalid(what: str, hint: str) -> Invalid:
    return Invalid(f"objects URL {what}", code="objects.url", hint=hint)


def endpoint_of(scheme: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return the address at which a cloud is asked, if the environment names one; an empty text otherwise."""
    return next((environment[name] for name in _ENDPOINTS[scheme] if environment.get(name)), "")


def allows_http(scheme: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether the store is asked without TLS: on loopback, or where the environment allows it in so many words.

    Raises
    ------
    Invalid
        If the endpoint is no http or https URL, or http to another machine that is not allowed.
    """
    endpoint = endpoint_of(scheme, environment)
    if not endpoint:
        return False
    name = next(name for name in _ENDPOINTS[scheme] if environment.get(name))
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Invalid(f"{name} is not an http or https URL", code="objects.endpoint", hint="such as https://s3.example.org")
    host = parts.hostname
    if parts.scheme == "https" or _is_loopback(host):
        return parts.scheme == "http"
    if environment.get(_ALLOW_HTTP[scheme], "").lower() not in {"1", "true", "yes", "on"}:
        raise Invalid(
            f"{name} is http to another machine ({host})",
            code="objects.endpoint",
            hint=f"use https; or, in a network that you trust, set {_ALLOW_HTTP[scheme]}=true",
        )
    return True


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def open_bucket(bucket: Bucket, *, silence: float = SILENCE_S, environment: Mapping[str, str] = os.environ) -> "Opened":
    """Make the client of a bucket; nothing is sent yet.

    Parameters
    ----------
    silence : float
        Seconds after which a request that is not answered is given up.

    Raises
    ------
    obstore.exceptions.BaseError
        If the environment does not say enough, such as which account.
    """
    from obstore.store import AzureStore, GCSStore, S3Store

    client: dict[str, Any] = {
        "allow_http": allows_http(bucket.scheme, environment),
        "connect_timeout": timedelta(seconds=CONNECT_S),
        "read_timeout": timedelta(seconds=silence),
        "timeout": timedelta(days=1),  # of a whole answer, however large; silence ends it sooner
    }
    if bucket.scheme == "s3" and environment.get("AWS_CA_BUNDLE"):
        client["root_certificate"] = _certificates(environment["AWS_CA_BUNDLE"])
    options: dict[str, Any] = {"prefix": bucket.prefix or None, "client_options": client, "retry_config": _retries()}
    match bucket.scheme:
        case "s3":
            return S3Store(bucket.name, **options)
        case "gs":
            return GCSStore(bucket.name, **options)
        case _:
            return AzureStore(bucket.name, **options)


def _certificates(path: str) -> bytes:
    """Read the authorities to be trusted beside the system's."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise Invalid(
            f"AWS_CA_BUNDLE cannot be read: {error.strerror}",
            code="objects.endpoint",
            hint="it names a file of certificates in PEM",
        ) from None


def _retries() -> "RetryConfig":
    return {
        "max_retries": 3,
        "retry_timeout": timedelta(seconds=TRYING_S),
        "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2), "base": 2},
    }
