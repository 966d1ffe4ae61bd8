"""The way an episode takes through its states, as a picture of it shows: pure."""

from collections.abc import Sequence

import msgspec

from perenne.automation.model import CLOSED, Episode, EpisodeState, Step

LINE = (*(state for state in EpisodeState if state not in CLOSED), EpisodeState.SETTLED)
"""The states in the order in which an episode that succeeds passes them."""

WORDS = {
    EpisodeState.BUDGET_OK: "within budget",
    EpisodeState.BLESSED: "better",
    EpisodeState.INFRA_CHECKED: "package checked",
    EpisodeState.NOT_NEEDED: "no retraining needed",
}

TONES = {
    EpisodeState.SETTLED: "ok",
    EpisodeState.AWAITING_APPROVAL: "warn",
    EpisodeState.REJECTED: "none",
    EpisodeState.EXPIRED: "none",
    EpisodeState.SUPERSEDED: "none",
    EpisodeState.NOT_NEEDED: "ok",
    EpisodeState.CANCELLED: "none",
    EpisodeState.ROLLED_BACK: "crit",
    EpisodeState.FAILED: "crit",
    EpisodeState.NOT_NEEDED: "ok",
    EpisodeState.SUPERSEDED: "none",
    EpisodeState.CANCELLED: "none",
}
"""How a state is coloured, beside its word and shape."""


class StateOnPath(msgspec.Struct, frozen=True):
    """A state of an episode's picture.

    Attributes
    ----------
    word : str
        What people call it.
    status : str
        `passed`, `here` (where an open episode stands), `end`, `skipped` (others that follow were reached) or `ahead`.
    entered, left : int or None
        When it was; None if never, or if it still is.
    note : str
        Why it was entered, with the figures that decided.
    """

    state: str
    word: str
    status: str
    entered: int | None
    left: int | None
    note: str


class Path(msgspec.Struct, frozen=True):
    """The line of states to success; if it ended elsewhere, where, and from which state of the line it left."""

    line: tuple[StateOnPath, ...]
    end: StateOnPath | None
    left_from: str


def state_word(state: EpisodeState) -> str:
    """Say what people call a state.

    >>> state_word(EpisodeState.AWAITING_APPROVAL)
    'awaiting approval'
    """
    return WORDS.get(state, state.value.replace("_", " "))


def path_of(episode: Episode, steps: Sequence[Step]) -> Path:
    """Return the picture of an episode from its transitions, oldest first."""
    reached = {EpisodeState(step.after): step for step in steps}
    left = {EpisodeState(step.before): step.time for step in steps if step.before}
    last = max((place for place, state in enumerate(LINE) if state in reached), default=0)
    line = tuple(
        _on_path(episode, state, reached.get(state), left.get(state), passed=place < last) for place, state in enumerate(LINE)
    )
    if episode.open or episode.state is EpisodeState.SETTLED:
        return Path(line, None, "")
    end = _on_path(episode, episode.state, reached.get(episode.state), None, passed=False)
    return Path(line, end, reached[episode.state].before if episode.state in reached else "")


def _on_path(episode: Episode, state: EpisodeState, step: Step | None, left: int | None, *, passed: bool) -> StateOnPath:
    if step is None:
        return StateOnPath(state.value, state_word(state), "skipped" if passed else "ahead", None, None, "")
    status = "passed" if state is not episode.state else "here" if episode.open else "end"
    return StateOnPath(state.value, state_word(state), status, step.time, left, step.note)
