"""Features judged by a statistic that a project chose, in place of the drift rule."""

from collections.abc import Mapping

import msgspec

from perenne.stats import named
from perenne.stats.cells import Reference
from perenne.stats.drift import DriftVerdict, FeatureDrift, ranked
from perenne.stats.names import STATISTICS, Chosen
from perenne.stats.phases import standard_of
from perenne.stats.profile import Profile
from perenne.stats.standard import Standard
from perenne.stats.wording import describe

EVERY = "*"
"""Stands for every input that has no choice of its own and that the statistic suits."""


def judge_chosen(
    reference: Reference,
    window: Profile,
    verdict: DriftVerdict,
    choices: Mapping[str, Chosen],
    *,
    against: Standard | None = None,
) -> DriftVerdict:
    """Return the verdict with the features for which a statistic was chosen judged by it alone.

    `against` is what the window is compared with, the reference if not given.
    A statistic that needs an order of values leaves features with levels to the rule, and one that cannot be had of a window
    without values leaves it too.
    """
    if not choices:
        return verdict
    against = against or standard_of(reference)
    found = tuple(_judged(reference, window, feature, _choice(choices, feature.name), against) for feature in verdict.features)
    return ranked(verdict, found)


def _choice(choices: Mapping[str, Chosen], name: str) -> Chosen | None:
    return choices.get(name, None if name.startswith("@") else choices.get(EVERY))


def _judged(
    reference: Reference, window: Profile, feature: FeatureDrift, choice: Chosen | None, against: Standard
) -> FeatureDrift:
    if choice is None or not named.suits(choice.name, reference.feature(feature.name)):
        return feature
    found = named.measure(reference, window, feature.name, choice, against)
    if found.verdict == "unknown":
        return feature
    return msgspec.structs.replace(
        feature,
        state=found.verdict,
        statistic=found.name,
        value=found.value,
        p=found.p,
        threshold=found.threshold,
        sentence=_sentence(reference, window, feature.name, found, against) if found.verdict == "alarm" else "",
    )


def _sentence(reference: Reference, window: Profile, name: str, found: named.Measured, against: Standard) -> str:
    place = reference.place(name)
    changed = describe(
        reference.layout.features[place],
        reference.profile.counts[place],
        window.counts[place],
        list(window.new_levels[place].values()),
    )
    return f"{changed} ({said(found)})" if changed else said(found)


def said(found: named.Measured) -> str:
    """Say what a statistic came to and what its limit is.

    >>> said(named.Measured("psi", 0.3114, None, 9000, 800, 0.2, "alarm"))
    'psi 0.311, limit 0.2'
    >>> said(named.Measured("ks", 0.1, 2e-9, 9000, 800, 0.001, "alarm"))
    'ks 0.1 with p 2e-09, limit p 0.001'
    """
    if STATISTICS[found.name].by_p:
        return f"{found.name} {found.value:.3g} with p {found.p:.2g}, limit p {found.threshold:g}"
    return f"{found.name} {found.value:.3g}, limit {found.threshold:g}"
