"""Artifacts: what lies at a path below the root of a run, a logged model or a trace, and which texts are such paths."""

import re

import msgspec

from perenne.core.errors import Invalid

SCHEME = "mlflow-artifacts:/"
"""What a location in this server begins with; the root follows: `mlflow-artifacts:/0/<run>/artifacts`."""

MAX_PATH, MAX_SEGMENT = 1_024, 255
_DISGUISED = re.compile(r"%(2e|2f|5c|00)", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z]:|[A-Za-z][A-Za-z0-9+.-]*:/|file:", re.IGNORECASE)
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\\#]")
"""Control characters, what turns the direction of a line, halves of characters, and what another reader takes for a separator."""


class Artifact(msgspec.Struct, frozen=True):
    """A file that was logged.

    Attributes
    ----------
    root, path : str
        The root, without its scheme, and the path below it.
    blob : str
        The id of its bytes: another one with each upload, so it tells versions apart.
    size, modified : int
        Bytes, and when it was uploaded, in microseconds since 1970.
    digest : str or None
        SHA-256 of its bytes, once somebody has asked for it.
    """

    root: str
    path: str
    blob: str
    size: int
    modified: int
    digest: str | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What a folder holds: a file, or another folder; the path is that below the root."""

    path: str
    is_dir: bool
    size: int | None = None
    modified: int | None = None

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


class Place(msgspec.Struct, frozen=True):
    """A path below a root, and the project whose it is; an empty path is the root itself."""

    root: str
    path: str
    project: str

    def at(self, path: str) -> "Place":
        """Return another place below this one."""
        return Place(self.root, f"{self.path}/{path}" if self.path else path, self.project)


def clean_path(text: str, *, empty: bool = False) -> str:
    """Return a path that was decoded once as it is kept: no segment of it leads up, out or elsewhere.

    Parameters
    ----------
    empty : bool
        Whether the root itself may be meant.

    Raises
    ------
    Invalid
        If it is none.

    >>> clean_path("model/MLmodel"), clean_path("plots/größe 1.png")
    ('model/MLmodel', 'plots/größe 1.png')
    >>> clean_path("a/../../b")
    Traceback (most recent call last):
    perenne.core.errors.Invalid: Invalid path
    """
    path = text.removesuffix("/")
    if not path and empty and text in ("", "/"):
        return ""
    segments = path.split("/")
    wrong = (
        any(not segment or segment in (".", "..") or segment.startswith("..;") for segment in segments)
        or _UNSEEN.search(path)
        or _DISGUISED.search(path)
        or _SCHEME.match(path)
        or len(path.encode()) > MAX_PATH
        or any(len(segment.encode()) > MAX_SEGMENT for segment in segments)
    )
    if wrong:
        raise Invalid("Invalid path", code="artifact.path", hint="names between single slashes, such as model/MLmodel")
    return path


def root_of(location: str) -> str | None:
    """Return the root that a location names; None if it lies outside of this server.

    >>> root_of("mlflow-artifacts:/0/4f2a/artifacts"), root_of("s3://bucket/0")
    ('0/4f2a/artifacts', None)
    """
    return location.removeprefix(SCHEME).strip("/") if location.startswith(SCHEME) else None


def parents(path: str) -> list[str]:
    """Return the folders in which a path lies, outermost first.

    >>> parents("a/b/c")
    ['a', 'a/b']
    """
    segments = path.split("/")
    return ["/".join(segments[:count]) for count in range(1, len(segments))]
