"""The statistics that the field knows by name: what each means, its usual limit, and what others call it. No arrays here.

`named` computes them; `resolve` reads what a project says ("psi", "jensenshannon(0.15)").
"""

import difflib
import math
import re

import msgspec

from perenne.core.errors import Invalid

P_LIMIT = 0.001
"""Below it a test chosen by name alarms, unless another limit is given."""


class Chosen(msgspec.Struct, frozen=True):
    """A statistic by its own name, and the limit beyond which it alarms: of a test, the p below which it does."""

    name: str
    threshold: float

    def __str__(self) -> str:
        return f"{self.name}({self.threshold:g})"


class Statistic(msgspec.Struct, frozen=True):
    """What is offered under a name.

    Attributes
    ----------
    name : str
    threshold : float
        The usual limit.
    meaning : str
        In a line.
    by_p : bool
        A test: it alarms by its p, not by its value.
    numbers : bool
        It needs an order of values.
    both : bool
        A change alarms in either direction: the size of the value counts.
    """

    name: str
    threshold: float
    meaning: str
    by_p: bool = False
    numbers: bool = False
    both: bool = False

    def alarms(self, value: float, p: float | None, threshold: float) -> bool:
        """Tell whether an outcome is beyond a limit; a ratio is so if its inverse is."""
        if self.by_p:
            return p is not None and p < threshold
        if self.name == "variance_ratio":
            return value > threshold or value < 1 / threshold
        return (abs(value) if self.both else value) > threshold


STATISTICS: dict[str, Statistic] = {
    statistic.name: statistic
    for statistic in (
        Statistic("psi", 0.2, "population stability index: sum (P-Q) ln(P/Q), 0.5 added to each count"),
        Statistic("kl", 0.1, "Kullback-Leibler divergence of the window: sum Q ln(Q/P), 0.5 added to each count"),
        Statistic("js_divergence", 0.01, "Jensen-Shannon divergence, natural logarithm"),
        Statistic("js_distance", 0.1, "its square root, as SciPy has it"),
        Statistic("hellinger", 0.1, "sqrt(1 - sum sqrt(P Q))"),
        Statistic("tv", 0.1, "total variation: half the sum of |P-Q|"),
        Statistic("linf", 0.1, "largest |P-Q|"),
        Statistic("ks", P_LIMIT, "Kolmogorov and Smirnov: largest |F-G|", by_p=True, numbers=True),
        Statistic("chi2", P_LIMIT, "Pearson's X2 of both sides", by_p=True),
        Statistic("g_test", P_LIMIT, "likelihood ratio: 2 sum O ln(O/E)", by_p=True),
        Statistic("cramer_von_mises", P_LIMIT, "nm/(n+m) sum (F-G)^2 w, w the pooled share of a cell", by_p=True, numbers=True),
        Statistic("anderson_darling", P_LIMIT, "the same, weighted by 1/(H (1-H)), H pooled", by_p=True, numbers=True),
        Statistic("wasserstein", 0.1, "first Wasserstein distance in the reference's standard deviations", numbers=True),
        Statistic("z_share", P_LIMIT, "z of the share of the reference's commonest level or cell", by_p=True),
        Statistic("fisher_exact", P_LIMIT, "odds ratio of the same share, and Fisher's exact p", by_p=True),
        Statistic("t_test", P_LIMIT, "Welch's t of the means", by_p=True, numbers=True),
        Statistic("mean_difference", 0.1, "of the means, in the reference's standard deviations", numbers=True, both=True),
        Statistic("variance_ratio", 1.5, "variance over the reference's; the inverse counts as much", numbers=True, both=True),
        Statistic("mann_whitney", P_LIMIT, "chance that a new value is above an old one", by_p=True, numbers=True),
        Statistic("missing_share", 0.05, "rise of the share of missing values", both=True),
        Statistic("unseen_share", 0.05, "rise of the share of levels never met, of values that are no numbers"),
        Statistic("non_finite_share", 0.05, "rise of the share of infinite values"),
        Statistic("range", 0.05, "share in the two outermost cells, above the reference's", numbers=True),
        Statistic("stuck", 0.2, "largest rise of the share of one repeated value, level or cell"),
    )
}
"""By their own names; all are had from counts."""

ROWS: dict[str, Statistic] = {
    statistic.name: statistic
    for statistic in (
        Statistic("epps_singleton", P_LIMIT, "distance of the characteristic functions of two columns", by_p=True, numbers=True),
        Statistic("dissimilarity", 0.55, "ROC area of a classifier that tells window from reference, 5 folds"),
        Statistic("mmd", P_LIMIT, "maximum mean discrepancy, Gaussian kernel, by permutation", by_p=True),
        Statistic("energy", P_LIMIT, "energy distance, by permutation", by_p=True),
        Statistic("reconstruction", 0.1, "relative rise of the error left by the reference's principal components", both=True),
    )
}
"""Those that need rows: `perenne.stats.multivariate` has them."""

ALIASES: dict[str, str] = {
    # Evidently
    "anderson": "anderson_darling",
    "chisquare": "chi2",
    "ed": "energy",
    "es": "epps_singleton",
    "jensenshannon": "js_distance",
    "kl_div": "kl",
    "mannw": "mann_whitney",
    "empirical_mmd": "mmd",
    "tvd": "tv",
    "z": "z_share",
    # NannyML
    "kolmogorov_smirnov": "ks",
    "jensen_shannon": "js_distance",
    "l_infinity": "linf",
    "domain_classifier": "dissimilarity",
    "reconstruction_error": "reconstruction",
    # Snowflake
    "difference_of_means": "mean_difference",
    "population_stability_index": "psi",
    # TensorFlow Data Validation
    "jensen_shannon_divergence": "js_divergence",
    "infinity_norm": "linf",
}
"""What others call them, in lower case; `psi`, `ks`, `wasserstein` and more have one name everywhere."""

_WRITTEN = re.compile(r"\s*([^()]*?)\s*(?:\(\s*([^()]*?)\s*\)\s*)?")


def resolve(written: str) -> Chosen:
    """Read a statistic as a project writes it: its name or another's for it, and a limit in brackets if not the usual one.

    Raises
    ------
    Invalid
        If there is none of that name, it needs rows, or the limit is none.

    >>> str(resolve("psi")), str(resolve("jensenshannon(0.15)")), str(resolve("POPULATION_STABILITY_INDEX(0.25)"))
    ('psi(0.2)', 'js_distance(0.15)', 'psi(0.25)')
    """
    match = _WRITTEN.fullmatch(written)
    name = own_name(match[1] if match else written)
    limit = match[2] if match else None
    return checked(Chosen(name, _default(name) if limit is None else _number(written, limit)))


def own_name(written: str) -> str:
    """Return our name of a statistic, given ours or another's. Raises Invalid, with the nearest name, if there is none."""
    key = re.sub(r"[\s-]+", "_", written.strip()).lower()
    key = ALIASES.get(key, key)
    if key in STATISTICS or key in ROWS:
        return key
    near = difflib.get_close_matches(key, [*STATISTICS, *ROWS, *ALIASES], n=1)
    raise Invalid(
        f"there is no statistic '{written.strip()}'",
        code="statistic.unknown",
        hint=f"did you mean '{near[0]}'?" if near else f"there are {', '.join(STATISTICS)}",
    )


def checked(choice: Chosen) -> Chosen:
    """Return a choice with its own name, fit to judge windows by.

    Raises
    ------
    Invalid
        If it is no statistic of counts, or its threshold is no limit of it.
    """
    name = own_name(choice.name)
    if name in ROWS:
        raise Invalid(
            f"the statistic '{name}' needs rows, and a window has counts",
            code="statistic.needs_rows",
            hint="perenne.stats.multivariate compares rows; windows can be judged by psi, js_distance, ks, wasserstein, …",
        )
    statistic, limit = STATISTICS[name], choice.threshold
    if not math.isfinite(limit) or limit <= 0 or (statistic.by_p and limit >= 1):
        raise Invalid(
            f"{limit:g} is no limit of '{name}'",
            code="statistic.threshold",
            hint=f"{'a p between 0 and 1' if statistic.by_p else 'a value above 0'}, such as {name}({statistic.threshold:g})",
        )
    return Chosen(name, float(limit))


def _default(name: str) -> float:
    return {**STATISTICS, **ROWS}[name].threshold


def _number(written: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Invalid(
            f"'{text}' is no number in '{written.strip()}'",
            code="statistic.threshold",
            hint="write the limit in brackets: psi(0.2)",
        ) from None
