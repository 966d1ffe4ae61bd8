"""``.dvcignore`` as DVC understands it, and the lines that DVC keeps in ``.gitignore``.

>>> ignore = Ignore.parse(["*.tmp", "!keep.tmp", "/logs/"])
>>> [ignore.matches(path) for path in ("a/x.tmp", "keep.tmp", "logs/x")], ignore.matches("logs", is_dir=True)
([True, False, True], True)
"""

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import groupby
from typing import NamedTuple

FILE = ".dvcignore"
BUILT_IN = (".hg/", ".git/", ".git", ".dvc/")
FIRST_LINES = (
    "# Add patterns of files dvc should ignore, which could improve\n"
    "# the performance. Learn more at\n"
    "# https://dvc.org/doc/user-guide/dvcignore\n"
)
"""What `init` writes."""

_DIRECTORY, _DIRECTORY_OR_END = "/", "(?:/|$)"


class Rule(NamedTuple):
    """A pattern, and where it stands: ``.dvcignore:4:*.tmp``."""

    pattern: str
    source: str = ""

    def __str__(self) -> str:
        return self.source or f":{self.pattern}"


class _Group(NamedTuple):
    expression: re.Pattern[str]
    ignores: bool
    directories_only: bool
    rules: tuple[tuple[str, Rule], ...]


class Ignore:
    """Rules over the paths below a folder; a nested file's rules are put behind those of the folders above.

    Parameters
    ----------
    rules : sequence of Rule
        In the order in which they stand; the last that matches decides.
    base : str
        The folder that they are relative to, relative to the repository; ``""`` is the repository.
    """

    def __init__(self, rules: Sequence[Rule], base: str = "") -> None:
        compiled = [(*_expression(rule.pattern), rule) for rule in rules]
        self._compiled = [(regex, ignores, rule) for regex, ignores, rule in compiled if regex is not None]
        self.rules = tuple(rule for _, _, rule in self._compiled)
        self.base = base

    @classmethod
    def parse(cls, lines: Iterable[str], base: str = "", name: str = FILE) -> "Ignore":
        """Read the lines of a ``.dvcignore``: blanks around them do not count, nor empty lines and comments."""
        stripped = [(number, line.strip()) for number, line in enumerate(lines, 1)]
        return cls(
            [Rule(line, f"{name}:{number}:{line}") for number, line in stripped if line and not line.startswith("#")], base
        )

    @classmethod
    def built_in(cls) -> "Ignore":
        """Return what is ignored in every repository."""
        return cls([Rule(pattern) for pattern in BUILT_IN])

    def nested(self, inner: "Ignore") -> "Ignore":
        """Return these rules with those of a folder below behind them."""
        if not inner.rules:
            return self
        if not self.rules:
            return inner
        moved = inner.rules if inner.base == self.base else tuple(_moved(rule, inner.base, self.base) for rule in inner.rules)
        return Ignore(self.rules + moved, self.base)

    def with_subrepository(self, folder: str) -> "Ignore":
        """Return these rules with one that leaves out a folder that is a repository of its own."""
        parent, _, name = folder.rpartition("/")
        return self.nested(Ignore([Rule(f"/{name}/", f"in sub_repo:{name}")], parent))

    def matches(self, path: str, is_dir: bool = False) -> bool:
        """Tell whether a path of the repository is ignored, by itself or by a folder above it."""
        return self.explain(path, is_dir)[0]

    def ignores(self, path: str, is_dir: bool = False) -> bool:
        """Tell whether a path is ignored by itself: enough for who walks down and leaves out what is ignored."""
        below = self._below(path)
        return below is not None and self._decide(below, is_dir)[0]

    def explain(self, path: str, is_dir: bool = False) -> tuple[bool, tuple[Rule, ...]]:
        """Tell whether a path is ignored, and the rules that matched."""
        below = self._below(path)
        matched: list[Rule] = []
        if not below:
            return False, ()
        parts, result = below.split("/"), False
        for count in range(1, len(parts) + 1):
            result, rule = self._decide("/".join(parts[:count]), is_dir or count < len(parts))
            if count < len(parts) and not result:
                continue
            matched += [rule] if rule is not None else []
            if result:
                break
        return result, tuple(matched)

    def _below(self, path: str) -> str | None:
        if not self.base:
            return path
        return path[len(self.base) + 1 :] if path.startswith(f"{self.base}/") else None

    def _decide(self, path: str, is_dir: bool) -> tuple[bool, Rule | None]:
        for group in self._groups:
            if group.directories_only and not is_dir:
                continue
            for shown in (path, f"{path}/") if is_dir else (path,):
                if group.expression.match(shown):
                    return group.ignores, next(rule for regex, rule in group.rules if re.match(regex, shown))
        return False, None

    @cached_property
    def _groups(self) -> list[_Group]:
        """Neighbours that ignore are joined into one expression; the last group comes first."""
        groups = []
        for (ignores, only), members in groupby(self._compiled, lambda item: (item[1], item[2].pattern.endswith("/"))):
            joined = [(regex, rule) for regex, _, rule in members]
            for rules in [joined] if ignores else [[one] for one in joined]:
                expression = re.compile("|".join(f"(?:{regex})" for regex, _ in rules))
                groups.append(_Group(expression, ignores, only and ignores, tuple(rules)))
        return groups[::-1]


def _expression(
    pattern: str,
) -> (
    tuple[
        str,
        bool,
    ]
    | tuple[None, bool]
):
    """Translate a pattern of Git's; None for one that matches nothing."""
    pattern = pattern if pattern.endswith("\\ ") else pattern.rstrip()
    if not pattern or pattern.startswith("#") or pattern == "/":
        return None, False
    ignores = not pattern.startswith("!")
    parts = pattern.removeprefix("!").split("/")
    only_directories = not parts[-1]
    if not parts[0]:
        del parts[0]
    elif (len(parts) == 1 or (len(parts) == 2 and not parts[1])) and parts[0] != "**":
        parts.insert(0, "**")
    if not parts:
        return None, False
    if not parts[-1]:
        parts[-1] = "**"
    parts = [part for index, part in enumerate(parts) if not index or part != "**" or parts[index - 1] != "**"]
    if parts == ["**"] or parts == ["**", "*"] or parts == ["**", "*", "**"]:
        everything = parts != ["**", "*", "**"] and not (only_directories and parts == ["**"])
        return ("." if everything else _DIRECTORY), ignores
    expression = _joined(parts, only_directories)
    return (expression, ignores) if expression is not None else (None, False)


def _joined(parts: list[str], only_directories: bool) -> str | None:
    out, slash, last = [], False, len(parts) - 1
    for index, part in enumerate(parts):
        if part == "**":
            out.append("^(?:.+/)?" if index == 0 else "(?:/.+)?" if index < last else _DIRECTORY)
            slash = slash or 0 < index < last
            continue
        if index == 0:
            out.append("^")
        if slash:
            out.append("/")
        glob = "[^/]+" if part == "*" else _glob(part)
        if glob is None:
            return None
        out.append(glob)
        if index == last:
            out.append(_DIRECTORY_OR_END)
        slash = True
    return "".join(out)


def _glob(part: str) -> str | None:
    """Translate what stands between two slashes; None for a pattern that Git discards."""
    out, at = "", 0
    while at < len(part):
        char = part[at]
        at += 1
        if char == "\\":
            if at == len(part):
                return None
            out, at = out + re.escape(part[at]), at + 1
        elif char in "*?":
            out += "[^/]*" if char == "*" else "[^/]"
        elif char == "[":
            end = part.find("]", at + 1 + (part[at : at + 1] in ("!", "^")))
            if end < 0:
                return None
            inside = part[at:end]
            negated = inside[:1] in ("!", "^")
            out += f"[{'^' if negated else ''}{inside[negated:]}]".replace("\\", "\\\\")
            if not _is_expression(out):
                return None
            at = end + 1
        else:
            out += re.escape(char)
    return out


def _is_expression(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True


def _moved(rule: Rule, folder: str, base: str) -> Rule:
    """Say a rule of a folder from a folder above it."""
    below = folder[len(base) + 1 :] if base else folder
    pattern, negated = rule.pattern, rule.pattern.startswith("!")
    pattern = pattern[negated:]
    anchored = "/" in pattern[:-1] and not pattern.startswith("**/")
    pattern = pattern.removeprefix("/") if anchored else pattern.removeprefix("**/")
    pattern = pattern.removeprefix("\\")
    return Rule(f"{'!' if negated else ''}/{below}{'/' if anchored else '/**/'}{pattern}", rule.source)


def escaped(name: str) -> str:
    r"""Return the line of ``.gitignore`` for a file or folder beside it.

    >>> escaped("file name #1.txt"), escaped("[br]*.txt")
    ('/file name \\#1.txt', '/\\[br\\]\\*.txt')
    """
    return "/" + "".join(f"\\{char}" if char in "\\[]!*#?" else char for char in name)


def with_line(old: bytes, name: str) -> bytes:
    """Add the line for a name to a ``.gitignore``; the same bytes when it is there."""
    line = escaped(name).encode()
    if line in old.split(b"\n"):
        return old
    return old + (b"\n" if old and not old.endswith(b"\n") else b"") + line + b"\n"


def without_line(old: bytes, name: str) -> bytes:
    """Take the line for a name out of a ``.gitignore``; the same bytes when it is not there.

    DVC looks for the name as it is and leaves an escaped line behind; both are taken out here.
    """
    gone = {escaped(name).encode().strip(), f"/{name}".encode().strip()}
    return b"".join(line for line in old.splitlines(keepends=True) if line.strip() not in gone)
