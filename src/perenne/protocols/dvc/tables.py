"""Tables of text as DVC prints them: columns two blanks apart, or in Markdown."""

from collections.abc import Sequence


def plain(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table with two blanks between columns, and two more behind a header; without a header if that is empty.

    >>> print(plain(["Path", "acc"], [["m.json", "0.5"]]))
    Path    acc
    m.json  0.5
    """
    lines = [*([header] if header else []), *rows]
    least = [len(name) + 2 for name in header] or [0] * len(rows[0])
    widths = [max(least[place], *(len(line[place]) for line in lines)) for place in range(len(least))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown, an empty line behind it.

    >>> print(markdown(["Path", "acc"], [["m.json", "0.5"]]))
    | Path   | acc   |
    |--------|-------|
    | m.json | 0.5   |
    <BLANKLINE>
    """
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    widths = [max(len(line[place]) for line in [*cells, [*header]]) for place in range(len(header))]
    widths = [max(width, len(name) + 2) for width, name in zip(widths, header, strict=True)]
    lines = [_line(header, widths), "|" + "|".join("-" * (width + 2) for width in widths) + "|"]
    return "\n".join([*lines, *(_line(row, widths) for row in cells), ""])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"
