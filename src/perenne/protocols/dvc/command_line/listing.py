"""`dvc list`, `du`: what a repository holds, here or elsewhere."""

import posixpath
from typing import Any

import msgspec

from perenne import data
from perenne.core.errors import Invalid
from perenne.protocols.dvc.command_line.grammar import ELSEWHERE, Options, command, flag, value, word
from perenne.protocols.dvc.command_line.speech import say, say_json, say_table, size_of
from perenne.protocols.dvc.command_line.taking import elsewhere

_REV = value("--rev", says="Branch, tag or commit.", nargs="?", metavar="<commit>")
_PATH = word("path", "From its top; the top itself if not given.", nargs="?")


@command(
    "List what a repository holds, tracked by DVC or Git.",
    word("url", "The repository; `.` is this one."),
    flag("-R", "--recursive", says="Every file below."),
    flag("-T", "--tree", says="As a tree."),
    value("-L", "--level", says="How deep.", type=int, metavar="depth"),
    flag("--dvc-only", says="Only what DVC tracks."),
    flag("--json", says="Answer in JSON."),
    _REV,
    *ELSEWHERE,
    flag("--size", says="Sizes too."),
    flag("--show-hash", says="Hashes too."),
    _PATH,
    last="failed to list '{url}'",
)
def list_(options: Options) -> int:
    """`dvc list`."""
    if options.tree and options.json:
        raise Invalid("Cannot use --tree and --json options together.", code="data.bad_option")
    found = _listed(options, recursive=options.recursive or options.tree, level=options.level)
    if options.json:
        say_json([msgspec.to_builtins(one) for one in found])
    elif options.tree:
        _say_tree(options.path or ".", found, options)
    elif options.size or options.show_hash:
        say_table([_row(one, one.path, options) for one in found], right=options.size)
    elif found:
        say("\n".join(one.path for one in found))
    return 0


def _listed(options: Options, *, recursive: bool, level: int | None = None) -> list[Any]:
    found = data.versions.listing.list_files(
        options.url,
        options.path or "",
        rev=options.rev,
        recursive=recursive,
        tracked_only=getattr(options, "dvc_only", False),
        level=level if recursive else None,
        **elsewhere(options),
    )
    return sorted(found, key=lambda one: one.path)


def _row(one: Any, shown: str, options: Options) -> list[str]:
    size = "" if one.size is None or (one.isdir and not one.size) else size_of(one.size)
    return [*([size] if options.size else []), *([one.md5 or ""] if options.show_hash else []), shown]


def _say_tree(top: str, found: list[Any], options: Options) -> None:
    """Print files below their folders, with lines that lead to them."""
    inside: dict[str, dict[str, Any]] = {"": {}}
    for one in found:
        parts = one.path.split("/")
        for depth in range(len(parts)):
            folder, name = "/".join(parts[:depth]), parts[depth]
            inside.setdefault(folder, {}).setdefault(name, None)
        inside[posixpath.dirname(one.path)][parts[-1]] = one
    blank = [""] * (int(options.size) + int(options.show_hash))
    rows = [[*blank, top]]

    def add(folder: str, lead: str) -> None:
        names = sorted(inside[folder])
        for name in names:
            is_last, path = name == names[-1], f"{folder}/{name}".lstrip("/")
            shown = f"{lead}{'└── ' if is_last else '├── '}{name}"
            one = inside[folder][name]
            rows.append([*blank, shown] if one is None else _row(one, shown, options))
            if path in inside:
                add(path, lead + ("    " if is_last else "│   "))

    add("", "")
    say_table(rows, right=options.size)


@command(
    "Show how much space files take.",
    word("url", "The repository; `.` is this one."),
    _REV,
    flag("-s", "--summarize", says="Only the total."),
    *ELSEWHERE,
    _PATH,
)
def du(options: Options) -> int:
    """`dvc du`."""
    base = options.path or ""
    sizes: dict[str, int] = {}
    for one in _listed(options, recursive=True):
        if one.path.endswith((".dvc", ".dvcignore")):
            continue
        first = posixpath.join(base, one.path.partition("/")[0])
        sizes[first] = sizes.get(first, 0) + (one.size or 0)
    rows = [] if options.summarize else [[size_of(size), path] for path, size in sorted(sizes.items())]
    say_table([*rows, [size_of(sum(sizes.values())), base]])
    return 0
