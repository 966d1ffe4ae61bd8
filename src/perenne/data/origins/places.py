"""What a source's address means, and how it is shown to people: never with a secret."""

import re
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from perenne.core.errors import Invalid

_SECRET = re.compile(r"pass|secret|token|key|sig|credential|auth", re.IGNORECASE)


class Kind(StrEnum):
    """What is at an address."""

    FILES = "files"
    WEB = "web"
    BUCKET = "bucket"
    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"
    DUCKDB = "duckdb"
    DELTA = "delta"
    ICEBERG = "iceberg"


DATABASES = frozenset({Kind.SQLITE, Kind.POSTGRESQL, Kind.DUCKDB})
_SCHEMES = {
    "http": Kind.WEB,
    "https": Kind.WEB,
    "s3": Kind.BUCKET,
    "gs": Kind.BUCKET,
    "az": Kind.BUCKET,
    "sqlite": Kind.SQLITE,
    "postgresql": Kind.POSTGRESQL,
    "postgres": Kind.POSTGRESQL,
    "duckdb": Kind.DUCKDB,
    "file": Kind.FILES,
    "delta": Kind.DELTA,
    "iceberg": Kind.ICEBERG,
}


class Place(NamedTuple):
    """An address taken apart: what is there, and where, without what only names the kind."""

    kind: Kind
    rest: str


def place_of(uri: str, query: str = "") -> Place:
    """Read an address.

    Parameters
    ----------
    uri : str
        A path, a pattern of paths or a folder; `https://…`, `s3://…`, `gs://…`, `az://…`; `sqlite:PATH`, `duckdb:PATH`,
        `postgresql://…`; `delta:PATH-OR-URL`, `iceberg:METADATA-FILE`, `iceberg:CATALOG.NAMESPACE.TABLE`.
    query : str
        What to ask a database.

    Raises
    ------
    Invalid
        If it is no address, a database has no query, or something else has one.

    >>> place_of("sqlite:shop.db", "select 1"), place_of("data/*.csv")
    (Place(kind=<Kind.SQLITE: 'sqlite'>, rest='shop.db'), Place(kind=<Kind.FILES: 'files'>, rest='data/*.csv'))
    """
    scheme, colon, rest = uri.partition(":")
    named = _SCHEMES.get(scheme.lower()) if colon else None
    if named is None and "://" in uri:
        known = ", ".join(sorted(_SCHEMES))
        raise Invalid(f"no rows can be read from {scheme[:20]}://…", code="ingest.scheme", hint=f"a path, or one of {known}")
    kind = Kind.FILES if named is None else named
    if kind in DATABASES and not query.strip():
        raise Invalid(f"{kind} is asked by a query", code="ingest.query", hint="--query 'select … from …'")
    if kind not in DATABASES and query.strip():
        raise Invalid("only a database is asked by a query", code="ingest.query", hint="leave --query out")
    if kind in {Kind.WEB, Kind.BUCKET, Kind.POSTGRESQL} or named is None:
        return Place(kind, uri)
    return Place(kind, rest.removeprefix("//") if not rest.startswith("///") else rest[2:])


def absolute(uri: str) -> str:
    """Return an address that means the same wherever it is read from: paths of this machine whole."""
    scheme, colon, rest = uri.partition(":")
    named = _SCHEMES.get(scheme.lower()) if colon else None
    if named is None:
        return uri if "://" in uri else str(Path(uri).expanduser().absolute())
    local = named in {Kind.SQLITE, Kind.DUCKDB, Kind.DELTA, Kind.FILES} or (named is Kind.ICEBERG and "/" in rest)
    if not local or "://" in rest:
        return uri
    return f"{scheme}:{Path(place_of(uri, 'q' if named in DATABASES else '').rest).expanduser().absolute()}"


def without_secrets(uri: str) -> str:
    """Return an address as it may be shown: no password, and no value of a parameter whose name sounds like a secret.

    >>> without_secrets("postgresql://ada:hush@db/shop?sslmode=require")
    'postgresql://ada:***@db/shop?sslmode=require'
    >>> without_secrets("https://example.org/a.csv?token=x&page=2")
    'https://example.org/a.csv?token=***&page=2'
    """
    if "://" not in uri:
        return uri
    parts = urlsplit(uri)
    user, at, host = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    netloc = f"{name}{':***' if colon else ''}{at}{host}"
    pairs = [(key, "***" if _SECRET.search(key) else value) for key, value in parse_qsl(parts.query, keep_blank_values=True)]
    query = urlencode(pairs, safe="*/:@,") if any(value == "***" for _, value in pairs) else parts.query
    return urlunsplit((parts.scheme, netloc, parts.path, query, parts.fragment))
