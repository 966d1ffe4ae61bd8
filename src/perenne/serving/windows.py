"""What the observer counts per window: one profile per version, role and window of event time, posted as additions."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from perenne.formats.windows import LATENCY_EDGES_US, WindowPost, encode_window
from perenne.inference import Prediction
from perenne.serving.checkpoints import Staged, write_durably
from perenne.serving.messages import Served
from perenne.stats.cells import Reference
from perenne.stats.columns import Columns
from perenne.stats.profile import Profile
from perenne.stats.segments import SegmentProfiles

_CELLS = len(LATENCY_EDGES_US) + 1


class WindowKey(NamedTuple):
    """Which window: whose, by which version in which role, from when, how long (microseconds)."""

    deployment: str
    variant: str
    version: str
    start: int
    length: int


class Window:
    """What was counted of one window since it was last posted."""

    def __init__(self, reference: Reference) -> None:
        self.profile = Profile.empty(reference)
        self.segments = SegmentProfiles(reference, reference.segments.segments)
        self.lists = reference.layout.lists
        self.reference = reference.digest
        self.dropped = self.errors = 0
        self.first = self.last = 0
        self.latency = np.zeros(_CELLS, np.int64)
        self.agreed = self.compared = 0

    def add(self, columns: Columns, prediction: Prediction, requests: Sequence[Served]) -> None:
        """Count rows that were answered."""
        answers = None if prediction.outputs is not None else prediction.predictions
        rows = sum(served.rows for served in requests)
        given = columns or {"": np.empty(rows)}  # tensors may have stayed with the worker
        if prediction.outputs is not None:
            given = {**given, **{name: prediction.outputs[name] for name in self.lists if name in prediction.outputs}}
        self.segments.add(columns, self.profile.add(given, answers, prediction.scores))
        times = [served.event_time for served in requests]
        self.first = min(*times, self.first) if self.first else min(times)
        self.last = max(*times, self.last)

    def add_requests(self, requests: Sequence[Served]) -> None:
        """Count requests by how long they took, and those the model failed on. Parts of a request count once."""
        whole = [served for served in requests if served.first_row == 0]
        cells = np.searchsorted(LATENCY_EDGES_US, [served.latency_us for served in whole], side="left")
        self.latency += np.bincount(cells, minlength=_CELLS)
        self.errors += sum(served.status >= 500 for served in whole)

    def compare(self, agreed: int, compared: int) -> None:
        """Count rows on which a challenger answered like the champion."""
        self.agreed += agreed
        self.compared += compared


class Windows:
    """The open windows of an observer, and where their posts go.

    Parameters
    ----------
    spool : Path
        The folder in which the control plane finds posts.
    observer, server, boot : str
        Who posts: which machine, for which server, and which life of it.
    """

    def __init__(self, spool: Path, observer: str, server: str, boot: str) -> None:
        self._folder = spool / "windows"
        self._server = server
        self._observer = observer
        self._boot = boot
        self._sequence = 0
        self._open: dict[WindowKey, Window] = {}

    def __len__(self) -> int:
        return len(self._open)

    def window(self, key: WindowKey, reference: Reference) -> Window:
        """Return the open window of a key."""
        found = self._open.get(key)
        if found is None:
            found = self._open[key] = Window(reference)
        return found

    def stage(self) -> Iterator[Staged]:
        """Write what was counted since `clear`, one post per window."""
        if self._open:
            self._folder.mkdir(parents=True, exist_ok=True)
        for key, window in self._open.items():
            yield self._write(self._post(key, window))

    def sweep(self, files: Collection[Path]) -> None:
        """Remove what earlier lives wrote and did not commit: all hidden posts but some."""
        for path in self._folder.glob(f".{self._server}-*.post"):
            if path not in files:
                path.unlink(missing_ok=True)

    def clear(self) -> int:
        """Begin anew; return how many dropped rows the windows told of."""
        told = sum(window.dropped for window in self._open.values())
        self._open.clear()
        return told

    def _post(self, key: WindowKey, window: Window) -> WindowPost:
        self._sequence += 1
        profile = window.profile
        profile.first, profile.last, profile.dropped = window.first, window.last, window.dropped
        return WindowPost(
            observer=self._observer,
            boot=self._boot,
            sequence=self._sequence,
            deployment=key.deployment,
            variant=key.variant,
            version=key.version,
            reference=window.reference,
            window_start=key.start,
            window_length=key.length,
            rows=profile.rows,
            dropped=window.dropped,
            errors=window.errors,
            first=window.first,
            last=window.last,
            latency=window.latency.tolist(),
            agreement=(window.agreed, window.compared),
            profile=profile.to_bytes(),
            segments=window.segments.to_bytes() if window.segments.profiles else b"",
        )

    def _write(self, post: WindowPost) -> Staged:
        name = f"{post.boot}-{post.sequence:012d}.post"
        hidden, data = self._folder / f".{self._server}-{name}", encode_window(post)
        write_durably(hidden, lambda stream: stream.write(data))
        return Staged(hidden, self._folder / name)
