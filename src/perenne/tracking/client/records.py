"""What a run's process says, as records of its spool: one MessagePack array each, its kind first."""

from typing import TypeAlias

import msgspec

from perenne.tracking.model import Provenance


class Begin(msgspec.Struct, array_like=True, tag=1, frozen=True):
    """The first record of a spool: which run, and where it goes.

    Attributes
    ----------
    run : str
        The run's id, chosen by the client.
    attach : bool
        Whether the run exists already and is gone on with: nothing is made then.
    destination : str
        A server's URL without anything secret; empty for the database of the workspace.
    experiment, name, user, kind : str
        The experiment by name; made if there is none of that name.
    started : int
        Microseconds since 1970.
    tags : dict
        Set when the run is made.
    data : tuple of str
        Digests of what the run reads.
    provenance : Provenance
        Its digests name files in the folder of objects beside the spool.
    """

    run: str
    attach: bool
    destination: str
    experiment: str
    name: str
    user: str
    kind: str
    started: int
    tags: dict[str, str]
    data: tuple[str, ...]
    provenance: Provenance


class Metrics(msgspec.Struct, array_like=True, tag=2, frozen=True):
    """Values of one instant, in milliseconds since 1970, and one step."""

    time: int
    step: int
    values: dict[str, float]


class Params(msgspec.Struct, array_like=True, tag=3, frozen=True):
    """Parameters."""

    values: dict[str, str]


class Tags(msgspec.Struct, array_like=True, tag=4, frozen=True):
    """Tags; the last value wins."""

    values: dict[str, str]


class Artifact(msgspec.Struct, array_like=True, tag=5, frozen=True):
    """A file of the run: its path there, and the name of its copy in the spool's folder."""

    path: str
    file: str


class Input(msgspec.Struct, array_like=True, tag=6, frozen=True):
    """Data that the run read, as MLflow describes a dataset."""

    name: str
    digest: str
    source_type: str
    source: str
    context: str


class End(msgspec.Struct, array_like=True, tag=7, frozen=True):
    """How the run ended, and when, in microseconds since 1970."""

    state: str
    ended: int


class Close(msgspec.Struct, array_like=True, tag=8, frozen=True):
    """The process that wrote this has no more to say; the run goes on, or was ended by another."""


Record: TypeAlias = Begin | Metrics | Params | Tags | Artifact | Input | End | Close

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Record)
encode = _encoder.encode


def decode(body: bytes) -> Record:
    """Read one record. Raises msgspec.DecodeError if it is none."""
    record: Record = _decoder.decode(body)
    return record
