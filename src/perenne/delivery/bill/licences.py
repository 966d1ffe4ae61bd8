"""What a distribution says of its licence as an SPDX expression, and whether it is allowed.

`License-Expression` is one already (PEP 639). Before that, there were texts and classifiers; a classifier that names no single
licence ("BSD License") is none, and neither is a text that nobody can read for sure.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal, TypeAlias

from perenne.delivery.bill.model import LicencePolicy

Answer: TypeAlias = Literal["allowed", "denied", "unknown"]

_CLASSIFIERS = {
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Apache Software License": "Apache-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "ISC License (ISCL)": "ISC",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "zlib/libpng License": "Zlib",
    "Boost Software License 1.0 (BSL-1.0)": "BSL-1.0",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "GNU Affero General Public License v3": "AGPL-3.0-only",
    "GNU Affero General Public License v3 or later (AGPLv3+)": "AGPL-3.0-or-later",
}
_TEXTS = {
    "mit": "MIT",
    "mit license": "MIT",
    "the mit license": "MIT",
    "apache 2.0": "Apache-2.0",
    "apache-2.0 license": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license v2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license 2.0": "Apache-2.0",
    "3-clause bsd license": "BSD-3-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "bsd-3-clause license": "BSD-3-Clause",
    "new bsd": "BSD-3-Clause",
    "new bsd license": "BSD-3-Clause",
    "2-clause bsd license": "BSD-2-Clause",
    "bsd 2-clause": "BSD-2-Clause",
    "psf": "PSF-2.0",
    "psf-2.0": "PSF-2.0",
}
# A licence's own words, from the beginning of what comes after its title and copyright.
_LONGEST, _LONGEST_APACHE = 3_000, 12_000
_BSD_3 = "Neither the name of"
_BSD = "Redistribution and use in source and binary forms"
_APACHE = "Apache License Version 2.0, January 2004"
_MIT = "Permission is hereby granted, free of charge, to any person obtaining a copy"


def expression(metadata: Mapping[str, Any], classifiers: Sequence[str]) -> tuple[str, str]:
    """Return a distribution's licence as an SPDX expression, empty if it cannot be told, and what it says itself.

    >>> expression({"License": "Apache License v2.0"}, [])
    ('Apache-2.0', 'Apache License v2.0')
    >>> expression({}, ["License :: OSI Approved :: BSD License"])
    ('', 'BSD License')
    """
    stated = str(metadata.get("License-Expression") or "").strip()
    if stated:
        return (stated if is_expression(stated) else ""), stated
    text = str(metadata.get("License") or "").strip()
    named = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License ::") and line.count("::") > 1]
    said = text.splitlines()[0][:100] if text else "; ".join(named)
    found = _TEXTS.get(text.lower(), "") or (text if len(text) < 60 and is_expression(text) else "") or by_words(text)
    if not found and named and all(name in _CLASSIFIERS for name in named):
        found = " OR ".join(dict.fromkeys(_CLASSIFIERS[name] for name in named))
    return found, said


def by_words(text: str) -> str:
    """Tell a licence by its own words, which stand in some distributions in place of its name.

    A text much longer than the licence holds others beside it, such as those of libraries in a wheel: then nobody can tell.

    >>> by_words("MIT License … Permission is hereby granted, free of charge, to any person obtaining a copy of …")
    'MIT'
    """
    plain = re.sub(r"\s+", " ", text)
    if len(plain) > _LONGEST:
        return "Apache-2.0" if _APACHE in plain[:200] and len(plain) < _LONGEST_APACHE else ""
    if _BSD in plain:
        return "BSD-3-Clause" if _BSD_3 in plain else "BSD-2-Clause"
    return "MIT" if _MIT in plain else ""


@functools.cache
def _known() -> Any:
    """Return the licences that SPDX knows; reading them takes a while."""
    from license_expression import get_spdx_licensing  # type: ignore[import-untyped]

    return get_spdx_licensing()


@functools.cache
def is_expression(text: str) -> bool:
    """Tell whether a text is an SPDX expression of licences that SPDX knows; without the library for it, nobody can."""
    try:
        from license_expression import ExpressionError
    except ImportError:
        return False
    try:
        return bool(text) and not _known().validate(text).errors
    except ExpressionError:
        return False


def judge(text: str, policy: LicencePolicy) -> Answer:
    """Tell whether a licence is allowed; of a choice, one that is allowed is enough.

    >>> judge("MIT OR GPL-3.0-only", LicencePolicy()), judge("MIT AND GPL-3.0-only", LicencePolicy()), judge("", LicencePolicy())
    ('allowed', 'denied', 'unknown')
    """
    if not text or not is_expression(text):
        return "unknown"
    return _weigh(_known().parse(text), policy)


def _weigh(node: Any, policy: LicencePolicy) -> Answer:
    operator = getattr(node, "operator", "").strip()
    if operator not in ("AND", "OR"):
        return _single(str(node.render()), policy)
    answers = {_weigh(part, policy) for part in node.args}
    if operator == "OR":
        return "allowed" if "allowed" in answers else "denied"
    return "denied" if "denied" in answers else "allowed"


def _single(name: str, policy: LicencePolicy) -> Answer:
    names = (name, name.partition(" WITH ")[0])
    if any(fnmatchcase(name, pattern) for pattern in (*policy.allow, *policy.spare)):
        return "allowed"
    if any(fnmatchcase(one, pattern) for one in names for pattern in policy.deny):
        return "denied"
    return "denied" if policy.allow and not any(fnmatchcase(one, p) for one in names for p in policy.allow) else "allowed"
