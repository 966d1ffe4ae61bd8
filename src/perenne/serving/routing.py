"""Which variant a caller gets: pure, and quick enough for every request.

The callers' keys are hashed to a thousand slots. Each canary owns as many of them as its weight says, the champion has the rest.
A canary ranks all slots by a hash of its own (rendezvous hashing), takes the best free ones as it grows and gives its worst ones
back as it shrinks: a change of its weight moves callers between it and the champion alone, and nobody else's at all.
"""

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from random import random
from typing import TYPE_CHECKING, NamedTuple

from perenne.core.errors import Invalid
from perenne.serving.messages import HOLDOUT
from perenne.serving.model import Bandit, Deployment, Role, Sticky, Variant

if TYPE_CHECKING:
    from perenne.net.asgi import Headers
    from perenne.stats.columns import Columns

SLOTS = 1_000
_NOBODY = bytes(SLOTS // 8)


class Choice(NamedTuple):
    """Who is asked.

    Attributes
    ----------
    place : int
        Which of the chooser's variants.
    reason : str
        `weight`, `sticky`, `bandit`, or `mixed`: the rows of one request belong to several callers.
    propensity : float
        The chance with which it was chosen.
    sticky_hash : int
        Where the caller's key lies among all, 64 bits; 0 without a key.
    """

    place: int
    reason: str
    propensity: float
    sticky_hash: int = 0


class Chooser:
    """Chooses by a deployment's route and weights; never changed, made anew for each release.

    Parameters
    ----------
    deployment : Deployment
        Whose route.
    absent : collection of str
        Packages that cannot be asked here, because they failed or cannot be loaded: the champion has their callers.
    shares : mapping of str to float, optional
        A bandit's, by version; without them all have the same.

    Attributes
    ----------
    variants : tuple of Variant
        Who can be chosen, the champion first.
    shares : tuple of float
        Of each, the share of callers; and after them the share that is held out, if some are.
    """

    def __init__(self, deployment: Deployment, absent: Collection[str] = (), shares: Mapping[str, float] | None = None) -> None:
        present = tuple(v for v in deployment.canaries if not v.parked and v.tree not in absent)
        self.variants = (deployment.champion, *present)
        route, holdout = deployment.route, deployment.holdout
        self._sticky = route if isinstance(route, Sticky) else None
        self._header = self._sticky.header.lower().encode() if self._sticky else b""
        self._salted = blake2b(self._sticky.salt.encode(), digest_size=8) if self._sticky else None
        self._bandit = isinstance(route, Bandit)
        if self._bandit:
            held = () if holdout is None else (holdout.share,)
            self.shares = (*(share * (1 - sum(held)) for share in _bandit_shares(self.variants, shares)), *held)
            self._bounds = tuple(sum(self.shares[: place + 1]) for place in range(len(self.shares)))
        else:
            self._owners = owners(self.variants, b"" if holdout is None else holdout.slots)
            places = len(self.variants) + (holdout is not None)
            self.shares = tuple(self._owners.count(place) / SLOTS for place in range(places))
        why = "bandit" if self._bandit else "weight"
        self._by_chance = tuple(Choice(place, why, share) for place, share in enumerate(self.shares))

    def choose(self, headers: "Headers", columns: "Columns") -> Choice:
        """Choose who answers a request."""
        if self._bandit:
            return self._by_bandit()
        if self._sticky is not None:
            key = self._key(headers, columns)
            if key is None:
                return Choice(0, "mixed", 1.0)
            if key:
                return self._by_key(key)
        return self._by_chance[self._owners[int(random() * SLOTS)]]

    def _by_key(self, key: bytes) -> Choice:
        hashed = self._salted.copy()  # type: ignore[union-attr]
        hashed.update(key)
        number = int.from_bytes(hashed.digest(), "little")
        place = self._owners[number * SLOTS >> 64]
        return Choice(place, "sticky", self.shares[place], number)

    def _by_bandit(self) -> Choice:
        place = bisect_right(self._bounds, random() * self._bounds[-1], 0, len(self._bounds) - 1)
        return self._by_chance[place]

    def _key(self, headers: "Headers", columns: "Columns") -> bytes | None:
        """Return the caller's key; empty without one, None if the rows have several."""
        if self._header:
            wanted = self._header
            for name, value in headers:
                if name == wanted:
                    return value
            return b""
        column = columns.get(self._sticky.field) if self._sticky else None
        if column is None or not len(column):
            return b""
        first = column[0]
        if len(column) > 1 and any(value != first for value in column[1:]):
            return None
        return b"" if first is None or first != first else str(first).encode()


def sticky_hash(salt: str, key: str) -> int:
    """Return where a caller's key lies among all, 64 bits.

    >>> sticky_hash("", "ada") == sticky_hash("", "ada") != sticky_hash("spring", "ada")
    True
    """
    return int.from_bytes(blake2b(salt.encode() + key.encode(), digest_size=8).digest(), "little")


def owners(variants: Sequence[Variant], held_out: bytes = b"") -> bytes:
    """Return the place of each slot's owner among variants; the first has what no other owns.

    Slots that are held out are nobody's, whoever would have them: their place is the one after the last.
    """
    table = bytearray(SLOTS)
    for place, variant in enumerate(variants):
        if place:
            for slot in slots_of(variant.slots):
                table[slot] = place
    for slot in slots_of(held_out):
        table[slot] = len(variants)
    return bytes(table)


def held_out_slots(name: str, share: float) -> bytes:
    """Return the slots of a deployment's callers that are held out: the same ones first, so that a larger share keeps them."""
    return pack_slots(_ranking(f"{name}\0{HOLDOUT}")[: round(share * SLOTS)])


def slots_of(bits: bytes) -> list[int]:
    """Return which slots are set.

    >>> slots_of(b"\\x05")
    [0, 2]
    """
    number = int.from_bytes(bits, "little")
    return [slot for slot in range(number.bit_length()) if number >> slot & 1]


def pack_slots(slots: Collection[int]) -> bytes:
    """Write slots as bits; none as nothing."""
    return sum(1 << slot for slot in slots).to_bytes(len(_NOBODY), "little") if slots else b""


def resized(variants: Sequence[Variant], version: str, weight: float) -> tuple[Variant, ...]:
    """Give a canary another weight: it takes slots from the champion or gives some back, all others keep theirs.

    Raises
    ------
    Invalid
        If the weight is none, or the others leave less.
    """
    import msgspec

    wanted = round(weight * SLOTS) if 0 <= weight <= 1 else -1  # NaN is neither
    if wanted < 0 or (weight > 0 and not wanted):
        raise Invalid(
            f"{weight} is no weight", code="deployment.weight", hint="a share from 0.001 to 1, such as 0.1 or 10%; 0 for none"
        )
    own = next(set(slots_of(v.slots)) for v in variants if v.version == version and v.role is Role.CANARY)
    taken = {slot for v in variants if v.role is Role.CANARY and v.version != version for slot in slots_of(v.slots)}
    if wanted + len(taken) > SLOTS:
        raise Invalid(
            f"the other canaries answer {len(taken) / SLOTS:.1%} of the callers, {wanted / SLOTS:.1%} are not left",
            code="deployment.weight",
            hint="make another one smaller first, or give all of them with `perenne deploy split`",
        )
    ranked = _ranking(version)
    if wanted >= len(own):
        free = [slot for slot in ranked if slot not in own and slot not in taken]
        kept = own | set(free[: wanted - len(own)])
    else:
        kept = set([slot for slot in ranked if slot in own][:wanted])
    changed = {"weight": wanted / SLOTS, "slots": pack_slots(kept)}
    return tuple(msgspec.structs.replace(v, **changed) if v.version == version and v.role is Role.CANARY else v for v in variants)


@lru_cache(maxsize=64)
def _ranking(version: str) -> tuple[int, ...]:
    """Return all slots in the order in which a version wants them."""
    base = blake2b(version.encode() + b"\0", digest_size=8)

    def wish(slot: int) -> bytes:
        hashed = base.copy()
        hashed.update(slot.to_bytes(2, "little"))
        return hashed.digest()

    return tuple(sorted(range(SLOTS), key=wish))


def _bandit_shares(variants: Sequence[Variant], shares: Mapping[str, float] | None) -> tuple[float, ...]:
    """Return the shares of the variants that are here, which add up to one; of what nobody knows yet, the same for all."""
    given = [(shares or {}).get(variant.version, 0.0) for variant in variants]
    total = sum(given)
    return tuple(share / total for share in given) if total > 0 else (1 / len(variants),) * len(variants)
