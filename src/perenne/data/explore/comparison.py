"""Two profiles side by side on one page, from the same comparison that finds drift."""

from collections.abc import Sequence

from perenne.data.comparing import ColumnDifference, by_difference, compare, overlay
from perenne.data.explore.column_parts import chips, column_list, column_part, drawing, overlaid, values
from perenne.data.explore.markup import chip, facts, moment, name, number, percent, plural, section, size, table, text
from perenne.data.explore.style import page
from perenne.data.model import ColumnProfile, DataProfile
from perenne.data.personal import hidden, masked

_MUCH, _SOME = 0.25, 0.1
_ORDERS = [("difference", "what differs most first"), ("place", "as in the table"), ("missing", "most missing first")]


def comparison_page(
    reference: DataProfile, current: DataProfile, *, labels: tuple[str, str] = ("before", "after"), reveal: bool = False
) -> str:
    """Draw two profiles as one HTML file that loads nothing; what differs most comes first.

    Parameters
    ----------
    reference, current : DataProfile
        The earlier one and the later one; not masked, for what is hidden cannot be compared.
    labels : tuple of str
        What they are called.
    reveal : bool
        Whether values of columns with personal data are shown.
    """
    found = sorted(compare(reference, current), key=by_difference)
    if not reveal:
        found = list(hidden(found, reference, current))
        reference, current = masked(reference), masked(current)
    sections = [
        ("overview", "Side by side", _overview(reference, current, labels)),
        ("schema", "Changes of the columns", _schema(found)),
        ("columns", "Columns, what differs most first", _columns(found, reference, current, labels)),
        ("associations", "What hangs together otherwise", _associations(reference, current, labels)),
    ]
    body = "".join(section(identity, title, content) for identity, title, content in sections)
    title = f"{labels[1]} beside {labels[0]}"
    head = f"<h1>{name(labels[1])} <span class='dim'>beside</span> {name(labels[0])}</h1>{_verdict(found)}"
    return page(title, [(identity, words) for identity, words, content in sections if content], head, body)


def _verdict(found: Sequence[ColumnDifference]) -> str:
    much = sum(item.psi is not None and item.psi >= _MUCH for item in found)
    some = sum(item.psi is not None and _SOME <= item.psi < _MUCH for item in found)
    changed = sum(bool(item.change) for item in found)
    told = [f"{plural(much, 'column')} differ{'s' if much == 1 else ''} much" if much else ""]
    told.append(f"{plural(some, 'column')} some" if some else "")
    told.append(f"{plural(changed, 'column')} came, went or changed the type" if changed else "")
    words = "; ".join(part for part in told if part) or "no column differs by more than chance would bring"
    return f"<p class='dim'>{words}. Much is a population stability index from {_MUCH} on, some from {_SOME} on.</p>"


def _overview(reference: DataProfile, current: DataProfile, labels: tuple[str, str]) -> str:
    def missing(side: DataProfile) -> str:
        return percent(sum(column.nulls for column in side.columns) / max(side.rows * len(side.columns), 1))

    told = [
        ("rows", [f"{side.rows:,}" for side in (reference, current)]),
        ("columns", [f"{len(side.columns):,}" for side in (reference, current)]),
        ("repeated rows", [f"{side.duplicate_rows:,}" for side in (reference, current)]),
        ("missing values", [missing(side) for side in (reference, current)]),
        ("size", [size(side.bytes) if side.bytes else "–" for side in (reference, current)]),
        ("profiled", [moment(side.created) if side.created else "–" for side in (reference, current)]),
        ("data version", [f"<code>{text(side.digest[:12])}</code>" if side.digest else "–" for side in (reference, current)]),
    ]
    rows = ((key, *cells) for key, cells in told)
    return table(["", text(labels[0]), text(labels[1])], rows, label="the two tables", small=True)


def _schema(found: Sequence[ColumnDifference]) -> str:
    rows = ((name(item.name), chip(item.change, "warn"), text(item.words)) for item in found if item.change)
    listed = list(rows)
    return table(["column", "change", ""], listed, label="changes of the columns", small=True) if listed else ""


def _columns(found: Sequence[ColumnDifference], reference: DataProfile, current: DataProfile, labels: tuple[str, str]) -> str:
    before, after = ({column.name: column for column in side.columns} for side in (reference, current))
    order = {column.name: place for place, column in enumerate((*current.columns, *reference.columns))}
    parts = []
    for rank, item in enumerate(found):
        mine = after.get(item.name) or before[item.name]
        body = _side_by_side(before.get(item.name), after.get(item.name), labels)
        far = 10.0 if item.change else item.js or 0.0
        part = column_part(mine, order[item.name], body, words=_difference(item), far=far)
        parts.append(part.replace(f'id="c{order[item.name]}"', f'id="c{rank}"', 1))
    return column_list(parts, _ORDERS, "difference")


def _difference(change: ColumnDifference) -> str:
    if change.change in ("new", "gone"):
        return f"{chip(change.change, 'warn')} {text(change.words)}"
    if change.psi is None:
        return f"{chip('not measured')} {text(change.words)}"
    word, tone = ("much", "crit") if change.psi >= _MUCH else ("some", "warn") if change.psi >= _SOME else ("little", "ok")
    return (
        f"{chip(word, tone)} <span class='dim'>PSI {number(change.psi, 2)}, JS {number(change.js, 2)}</span> {text(change.words)}"
    )


def _side_by_side(before: ColumnProfile | None, after: ColumnProfile | None, labels: tuple[str, str]) -> str:
    mine = after or before
    assert mine is not None
    shared = overlay(before, after) if before is not None and after is not None and not mine.masked else None
    title = f"shares of rows in {mine.name[:60]}"
    drawn = overlaid(shared, labels, title) if shared is not None else drawing(mine)
    rows = ((key, *cells) for key, cells in _figures(before, after))
    figures = table(["", text(labels[0]), text(labels[1])], rows, numeric=(1, 2), label="figures side by side")
    flags = facts([(label, chips(side) if side else "") for label, side in zip(labels, (before, after), strict=True)])
    return f'<div class="open"><div>{drawn}</div><div>{figures}{flags}</div></div>'


def _figures(before: ColumnProfile | None, after: ColumnProfile | None) -> list[tuple[str, list[str]]]:
    sides = (before, after)
    told = [
        ("values", [f"{side.count:,}" if side else "–" for side in sides]),
        ("missing", [percent(side.nulls / max(side.count + side.nulls, 1)) if side else "–" for side in sides]),
        ("different", [f"{side.distinct:,}" if side else "–" for side in sides]),
    ]
    numbers = [side.numbers if side else None for side in sides]
    if not any(numbers):
        told.append(("holds", [values(side) if side else "–" for side in sides]))
    if any(numbers):
        told += [
            ("mean", [number(item.mean, 5) if item else "–" for item in numbers]),
            ("sd", [number(item.sd, 5) if item else "–" for item in numbers]),
            *(
                (f"{share} %", [number(item.quantiles[at], 5) if item else "–" for item in numbers])
                for at, share in ((0, 1), (2, 25), (3, 50), (4, 75), (6, 99))
            ),
            ("far outside", [f"{item.outliers:,}" if item else "–" for item in numbers]),
        ]
    return told


def _associations(reference: DataProfile, current: DataProfile, labels: tuple[str, str]) -> str:
    """List the pairs of columns whose strength moved most."""
    before, after = reference.associations, current.associations
    if before is None or after is None:
        return ""
    moved = []
    for i, x in enumerate(after.columns):
        for y in after.columns[:i]:
            here, there = after.place(x, y), before.place(x, y)
            if here is not None and there is not None and abs(after.strength[here] - before.strength[there]) >= _SOME:
                moved.append((x, y, before.strength[there], after.strength[here]))
    moved.sort(key=lambda item: -abs(item[3] - item[2]))
    rows = ((name(x), name(y), number(old, 2), number(new, 2)) for x, y, old, new in moved[:20])
    heads = ["column", "with", text(labels[0]), text(labels[1])]
    return table(heads, rows, numeric=(2, 3), label="pairs whose strength moved", small=True) if moved else ""
