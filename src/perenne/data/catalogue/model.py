"""An entry of the catalogue, what may be changed of it, and whether its data is as fresh as it must be."""

from enum import StrEnum

import msgspec

from perenne.core.clock import format_duration


class Classification(StrEnum):
    """Who may see the rows, from everybody to those who must."""

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"
    PERSONAL = "personal"


class Entry(msgspec.Struct, frozen=True):
    """What people say of a data set.

    Attributes
    ----------
    owner : str
        Whom to ask.
    classification : str
        One of `Classification`, or empty: nobody has said.
    text : str
        What it is, in Markdown.
    licence : str
        Under what terms the rows came.
    columns : dict
        What columns mean.
    freshness : int, optional
        How old its newest rows may be, in microseconds.
    revision : int
        Grows with each change; 0 if nobody has said anything.
    """

    dataset: str
    owner: str = ""
    classification: str = ""
    text: str = ""
    licence: str = ""
    columns: dict[str, str] = {}
    freshness: int | None = None
    updated: int | None = None
    updated_by: str = ""
    revision: int = 0


class Described(Entry, frozen=True, kw_only=True):
    """An entry with its tags, and how fresh the data is: fresh, late, or unknown where nothing is asked."""

    tags: dict[str, str]
    state: str
    newest: int | None


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change of an entry; what is not given stays.

    `tags` and `columns` are merged: an empty text removes one. `freshness` is a span such as `26h`; empty for none. With
    `revision`, the change is refused if the entry was changed meanwhile.
    """

    owner: str | msgspec.UnsetType = msgspec.UNSET
    classification: str | msgspec.UnsetType = msgspec.UNSET
    text: str | msgspec.UnsetType = msgspec.UNSET
    licence: str | msgspec.UnsetType = msgspec.UNSET
    freshness: str | msgspec.UnsetType = msgspec.UNSET
    tags: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    columns: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    revision: int | msgspec.UnsetType = msgspec.UNSET


FRESH, LATE, UNKNOWN = "fresh", "late", "unknown"


def freshness_of(allowed: int | None, newest: int | None, now: int) -> str:
    """Tell whether data is as fresh as it must be.

    >>> freshness_of(10, 95, 100), freshness_of(10, 80, 100), freshness_of(None, 95, 100)
    ('fresh', 'late', 'unknown')
    """
    if allowed is None or newest is None:
        return UNKNOWN
    return LATE if now - newest > allowed else FRESH


def in_words(described: Described, now: int) -> str:
    """Say how fresh data is."""
    if described.freshness is None or described.newest is None:
        return described.state
    return f"{described.state}: {format_duration(now - described.newest)} old, {format_duration(described.freshness)} allowed"
