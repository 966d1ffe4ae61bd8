"""An episode: one retraining, from what triggered it to where it ended; its states and which may follow which."""

from enum import StrEnum
from typing import Any

import msgspec

from perenne.projects import Trigger


class EpisodeState(StrEnum):
    """Where an episode stands."""

    TRIGGERED = "triggered"
    DEBOUNCED = "debounced"
    BUDGET_OK = "budget_ok"
    DATA_READY = "data_ready"
    TRAINING = "training"
    EVALUATED = "evaluated"
    BLESSED = "blessed"
    INFRA_CHECKED = "infra_checked"
    AWAITING_APPROVAL = "awaiting_approval"
    SHADOW = "shadow"
    CANARY = "canary"
    PROMOTED = "promoted"
    SOAKING = "soaking"
    SETTLED = "settled"
    REJECTED = "rejected"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    NOT_NEEDED = "not_needed"
    CANCELLED = "cancelled"


_S = EpisodeState

CLOSED = frozenset({_S.SETTLED, _S.REJECTED, _S.ROLLED_BACK, _S.FAILED, _S.EXPIRED, _S.SUPERSEDED, _S.NOT_NEEDED, _S.CANCELLED})
IN_TRIAL = frozenset({_S.SHADOW, _S.CANARY})
ANSWERING = frozenset({_S.PROMOTED, _S.SOAKING})
"""The challenger answers everybody: from here on there is only settling or rolling back."""

FOLLOWS: dict[EpisodeState, frozenset[EpisodeState]] = {
    _S.TRIGGERED: frozenset({_S.DEBOUNCED}),
    _S.DEBOUNCED: frozenset({_S.BUDGET_OK, _S.NOT_NEEDED}),
    _S.BUDGET_OK: frozenset({_S.DATA_READY}),
    _S.DATA_READY: frozenset({_S.TRAINING}),
    _S.TRAINING: frozenset({_S.EVALUATED}),
    _S.EVALUATED: frozenset({_S.BLESSED, _S.REJECTED}),
    _S.BLESSED: frozenset({_S.INFRA_CHECKED, _S.REJECTED}),
    _S.INFRA_CHECKED: frozenset({_S.AWAITING_APPROVAL, _S.SHADOW, _S.SUPERSEDED}),
    _S.AWAITING_APPROVAL: frozenset({_S.SHADOW, _S.REJECTED, _S.EXPIRED, _S.SUPERSEDED}),
    _S.SHADOW: frozenset({_S.CANARY, _S.PROMOTED, _S.REJECTED, _S.EXPIRED, _S.SUPERSEDED}),
    _S.CANARY: frozenset({_S.PROMOTED, _S.REJECTED, _S.EXPIRED, _S.SUPERSEDED}),
    _S.PROMOTED: frozenset({_S.SOAKING}),
    _S.SOAKING: frozenset({_S.SETTLED, _S.ROLLED_BACK, _S.SUPERSEDED}),
} | dict.fromkeys(CLOSED, frozenset())


def may_follow(state: EpisodeState, following: EpisodeState) -> bool:
    """Tell whether an episode may go from one state to another; any open one may fail, any before a promotion be cancelled.

    >>> may_follow(EpisodeState.SHADOW, EpisodeState.PROMOTED), may_follow(EpisodeState.SETTLED, EpisodeState.FAILED)
    (True, False)
    """
    if following is EpisodeState.CANCELLED:
        return state not in CLOSED | ANSWERING
    return following in FOLLOWS[state] or (following is EpisodeState.FAILED and state not in CLOSED)


class Episode(msgspec.Struct, frozen=True):
    """One retraining.

    Attributes
    ----------
    id, project : str
        Its id, and the project it belongs to.
    state : EpisodeState
        Where it stands.
    generation : int
        How many transitions it has made; a transition names the one it starts from, so that two cannot both win.
    trigger : Trigger
        What opened it.
    cause : str
        The trigger's evidence in words.
    champion, challenger : str
        The versions that are compared; empty until known.
    note : str
        Why it is where it is, in words.
    opened, entered, due : int
        When it was opened, when it entered its state, and when it is to be looked at again, by the loop's clock.
    rest_until : int
        After the end: until when the policy rests.
    rejections : int
        How many episodes in a row ended without a promotion, this one included.
    since : int
        When what opened it began, as far as is known: rows from then on are the new ones; 0 if nothing is known.
    alpha : float
        The chance of a promotion by mistake that its test took.
    tries : int
        How often its next transition has failed for reasons that may pass.
    source : str
        Digest of the project's file whose policy it obeys.
    """

    id: str
    project: str
    state: EpisodeState
    generation: int
    trigger: Trigger
    cause: str
    champion: str
    challenger: str
    note: str
    opened: int
    entered: int
    due: int | None
    rest_until: int
    rejections: int
    since: int = 0
    alpha: float = 0.0
    tries: int = 0
    source: str = ""

    @property
    def open(self) -> bool:
        """Whether it goes on."""
        return self.state not in CLOSED


class Step(msgspec.Struct, frozen=True):
    """One transition of an episode, as its history shows it; `evidence` holds the figures that decided."""

    generation: int
    before: str
    after: str
    note: str
    time: int
    evidence: dict[str, Any] = {}


class Hold(msgspec.Struct, frozen=True):
    """A policy that somebody paused: it opens nothing and promotes nobody until it is resumed; what is promoted stays guarded."""

    project: str
    by: str
    reason: str
    time: int


class TriggerLine(msgspec.Struct, frozen=True):
    """Something that spoke for retraining: its evidence in words, whether it opened the episode or joined it, and when."""

    cause: str
    outcome: str
    time: int


MAX_DOUBLINGS = 3


def rest(cooldown: int, rejections: int) -> int:
    """Return how long a policy rests: twice as long after each episode in a row that promoted nothing, up to eight times.

    >>> rest(10, 0), rest(10, 2), rest(10, 9)
    (10, 40, 80)
    """
    return cooldown << min(rejections, MAX_DOUBLINGS)
