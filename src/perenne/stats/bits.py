"""The bit histogram: a float32's sign, exponent and five mantissa bits are its bin. One pass, no search, no sort, mergeable.

Values are first moved to the reference's median and scaled by its spread: the relative resolution of 1/32 counts from there.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

CODES = 1 << 14
"""Number of codes: sign, 8 exponent bits, 5 mantissa bits."""

BLOCK = 32_768
"""Values taken at a time, so that the buffers stay in the processor's cache."""

_SHIFT = np.uint32(18)
_INFINITE = 255 << 5  # exponent all ones, mantissa zero; the other codes with that exponent are NaN

RANK: NDArray[np.int64] = np.where(np.arange(CODES) < CODES // 2, CODES // 2 + np.arange(CODES), CODES - 1 - np.arange(CODES))
"""Place of each code in the order of values: negative codes run backwards."""

ORDER: NDArray[np.int64] = np.argsort(RANK)
"""Codes in the order of their values."""

INFINITE_CODES = (_INFINITE, _INFINITE + CODES // 2)
NAN_CODES: NDArray[np.int64] = np.concatenate([np.arange(start + 1, start + 32) for start in INFINITE_CODES])


def _middles() -> NDArray[np.float64]:
    bits = (np.arange(CODES, dtype=np.uint32) << _SHIFT) | np.uint32(1 << 17)
    with np.errstate(invalid="ignore"):
        values = bits.view(np.float32).astype(np.float64)
    values[list(INFINITE_CODES)] = (np.inf, -np.inf)
    return values


MIDDLE: NDArray[np.float64] = _middles()
"""The standardised value in the middle of each code."""


def standardise(values: ArrayLike, center: float, scale: float) -> NDArray[np.float32]:
    """Return `(values - center) / scale` as float32: too large becomes infinite, and -0 becomes +0."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        z = ((np.asarray(values, np.float64) - center) / scale).astype(np.float32)
    z += np.float32(0)
    return z


def codes(standardised: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Return the code of each standardised value.

    >>> codes(np.array([0.0, 1.0, -1.0, np.inf], np.float32)).tolist()
    [0, 4064, 12256, 8160]
    """
    return standardised.view(np.uint32) >> _SHIFT


def histogram(values: NDArray[np.float64], center: float, scale: float) -> NDArray[np.int64]:
    """Count values per code, in blocks."""
    counts = np.zeros(CODES, np.int64)
    for start in range(0, len(values), BLOCK):
        counts += np.bincount(codes(standardise(values[start : start + BLOCK], center, scale)), minlength=CODES)
    return counts


def in_order(counts: NDArray[np.int64], center: float, scale: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the values and counts of the non-empty finite codes, by rising value."""
    ordered = counts[ORDER]
    kept = (ordered > 0) & np.isfinite(MIDDLE[ORDER])
    return MIDDLE[ORDER][kept] * scale + center, ordered[kept]


def quantile(counts: NDArray[np.int64], center: float, scale: float, share: float) -> float:
    """Return the value below which a share of the counted values lies, to the resolution of the codes; NaN if there are none."""
    values, ordered = in_order(counts, center, scale)
    if not len(values):
        return float("nan")
    return float(values[np.searchsorted(np.cumsum(ordered), share * ordered.sum())])
