"""What an observer leaves for the control plane: the profile of some rows of one window, and how the server did meanwhile."""

import msgspec

LATENCY_EDGES_US = tuple(int(10 * 2 ** (step / 2)) for step in range(41))
"""Upper edges of the latency cells in microseconds, from 10 µs to 10 s in steps of √2; one more cell holds what is slower."""


class WindowPost(msgspec.Struct, frozen=True, kw_only=True):
    """One addition to a window. `(observer, boot, sequence)` names it: sent twice, it counts once.

    Attributes
    ----------
    deployment, variant, version : str
        Which deployment answered, by which variant (`champion`, `challenger`), with which version (`name@number`).
    reference : str
        SHA-256 of the reference whose cells the profile uses.
    window_start, window_length : int
        Microseconds since 1970, and microseconds.
    rows, dropped, errors : int
        Rows in the profile; rows the observer never saw; requests the model failed on.
    first, last : int
        Earliest and latest time of a row.
    latency : list of int
        Requests per cell of `LATENCY_EDGES_US`, for the champion.
    agreement : tuple of int
        For a challenger: rows answered like the champion, and rows compared.
    profile : bytes
        `perenne.stats.profile.Profile.to_bytes`.
    segments : bytes
        `perenne.stats.segments.SegmentProfiles.to_bytes`; empty if no group is watched by itself.
    columns : tuple of str
        Columns that came and that the reference does not know.
    """

    observer: str
    boot: str
    sequence: int
    deployment: str
    variant: str
    version: str
    reference: str
    window_start: int
    window_length: int
    rows: int
    dropped: int
    errors: int
    first: int
    last: int
    latency: list[int]
    agreement: tuple[int, int] = (0, 0)
    profile: bytes
    segments: bytes = b""
    columns: tuple[str, ...] = ()


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(WindowPost)


def encode_window(post: WindowPost) -> bytes:
    """Write a post as MessagePack."""
    return _encoder.encode(post)


def decode_window(data: bytes) -> WindowPost:
    """Read a post. Raises msgspec.DecodeError if it is none."""
    return _decoder.decode(data)
