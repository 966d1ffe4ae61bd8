"""The page of error codes: each with its kind and the module that raises it, read from the source."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from docs.reference.markdown import code, table

from perenne.core import errors

SOURCE = Path(__file__).resolve().parents[2] / "src"

HEAD = """# Error codes

An error has a code that stays the same for ever, a sentence, and mostly a hint that says what to do. The command line shows
`error[code]: …` and `hint: …`; over REST they are `error_code`, `message` and `hint`.
"""


def page() -> str:
    """Write the page."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for path in sorted(SOURCE.rglob("*.py")):
        module = ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
        for kind, name in codes(ast.parse(path.read_text())):
            found[name, kind].add(module)
    rows = ((code(name), kind, _status(kind), ", ".join(map(code, sorted(found[name, kind])))) for name, kind in sorted(found))
    return f"{HEAD}\n{table(['code', 'kind', 'status', 'raised in'], rows)}"


def codes(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Go through the calls that name a code as a plain text, with what is called."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            for keyword in call.keywords:
                if keyword.arg == "code" and isinstance(keyword.value, ast.Constant) and "." in str(keyword.value.value):
                    yield call.func.id, str(keyword.value.value)


def _status(kind: str) -> str:
    found = getattr(errors, kind, None)
    return str(found.status) if isinstance(found, type) and issubclass(found, errors.PerenneError) else ""
