"""The contract of stores of blobs: in a folder or in a bucket."""

import os
from collections.abc import Sequence

import pytest

from perenne.core.errors import Invalid, NotFound
from perenne.core.ids import new_id
from perenne.storage.blob_errors import Full
from perenne.storage.blobs import CHUNK, Blobs, Incoming


class BlobsContract:
    """What every store of blobs does. Fixture: `blobs`, an empty store."""

    def keep(self, blobs: Blobs, *parts: bytes) -> Incoming:
        """Keep a blob."""
        with blobs.receive() as incoming:
            incoming.write(parts)
            blobs.keep(incoming)
        return incoming

    def read(self, blobs: Blobs, incoming: Incoming, start: int = 0, end: int | None = None) -> bytes:
        """Read a blob, or a part of it."""
        return b"".join(blobs.read(incoming.id, start, incoming.size if end is None else end))

    def interrupted(self, blobs: Blobs) -> Incoming:
        """Begin a blob whose client goes away."""
        try:
            with blobs.receive() as incoming:
                incoming.write([b"half"])
                raise ConnectionError
        except ConnectionError:
            return incoming

    @pytest.mark.parametrize(
        "parts",
        [[], [b""], [b"one"], [b"some ", b"bytes"], [bytes(range(256)) * 4_096, b"x"]],
        ids=["none", "empty", "one", "two", "MiB"],
    )
    def test_bytes_come_back_as_they_arrived(self, blobs: Blobs, parts: Sequence[bytes]) -> None:
        kept = self.keep(blobs, *parts)
        whole = b"".join(parts)
        assert kept.size == len(whole)
        assert self.read(blobs, kept) == whole
        path = blobs.locate(kept.id)
        assert path is None or path.read_bytes() == whole

    def test_a_range_is_read_by_itself(self, blobs: Blobs) -> None:
        data = os.urandom(3 * CHUNK + 7)
        kept = self.keep(blobs, data)
        for start, end in [(0, 1), (CHUNK - 1, CHUNK + 1), (5, 5), (3 * CHUNK, len(data)), (0, len(data))]:
            assert self.read(blobs, kept, start, end) == data[start:end]

    def test_the_same_bytes_are_two_blobs(self, blobs: Blobs) -> None:
        first, second = self.keep(blobs, b"same"), self.keep(blobs, b"same")
        assert first.id != second.id
        blobs.delete(first.id)
        assert self.read(blobs, second) == b"same"

    def test_what_was_not_kept_is_not_there(self, blobs: Blobs) -> None:
        with blobs.receive() as incoming:
            incoming.write([b"half"])
        with pytest.raises(NotFound):
            self.read(blobs, incoming)
        assert list(blobs.ids()) == []

    def test_what_failed_leaves_nothing(self, blobs: Blobs) -> None:
        incoming = self.interrupted(blobs)
        assert not incoming.path.exists()
        assert list(blobs.ids()) == []

    def test_parts_are_joined_in_order(self, blobs: Blobs) -> None:
        parts = [self.keep(blobs, part) for part in (b"a" * CHUNK, b"", b"b", os.urandom(CHUNK + 1))]
        with blobs.receive() as whole:
            blobs.join([part.id for part in parts], whole)
            blobs.keep(whole)
        assert self.read(blobs, whole) == b"".join(self.read(blobs, part) for part in parts)

    def test_every_blob_is_listed_until_it_is_deleted(self, blobs: Blobs) -> None:
        kept = {self.keep(blobs, b"x").id for _ in range(5)}
        assert set(blobs.ids()) == kept
        gone = kept.pop()
        blobs.delete(gone)
        blobs.delete(gone)
        assert set(blobs.ids()) == kept

    def test_what_is_not_there_is_not_found(self, blobs: Blobs) -> None:
        with pytest.raises(NotFound):
            list(blobs.read(new_id(), 0, 1))

    @pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", "a" * 26, "01M8H5RB3FP0P7R6Y1926EHRX/"])
    def test_no_other_name_leads_into_the_store(self, blobs: Blobs, name: str) -> None:
        with pytest.raises(Invalid):
            list(blobs.read(name, 0, 1))
        with pytest.raises(Invalid):
            blobs.delete(name)

    def test_more_than_there_is_room_for_is_refused_at_once(self, blobs: Blobs) -> None:
        with pytest.raises(Full), blobs.receive() as incoming:
            incoming.reserve(1 << 60)
        assert list(blobs.ids()) == []
