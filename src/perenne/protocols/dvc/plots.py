"""The plots of one or more revisions as one page of HTML that loads nothing."""

import base64
from collections.abc import Sequence
from html import escape

from perenne.core.errors import NotFound
from perenne.protocols.dvc.charts import chart
from perenne.protocols.dvc.plot_data import Asked, asked_of, drawn
from perenne.protocols.dvc.revisions import Revision

STYLE = """
:root{color-scheme:light dark}body{font:14px/20px system-ui,sans-serif;margin:24px;max-width:1240px}
h1{font-size:18px}h2{font-size:14px;margin:0 0 8px}
main{display:grid;grid-template-columns:repeat(auto-fill,minmax(520px,1fr));gap:24px}
section{border:1px solid color-mix(in srgb,currentColor 20%,transparent);padding:12px}svg{width:100%;height:auto}
svg text{font-size:11px;fill:currentColor}.axis{stroke:currentColor;fill:none}.grid{stroke:currentColor;stroke-opacity:.12}
ul{list-style:none;padding:0;margin:4px 0;display:flex;flex-wrap:wrap;gap:4px 16px}
i{display:inline-block;width:10px;height:10px;margin-right:6px}
img{max-width:100%}p{margin:4px 0}
"""


def plots_page(revisions: Sequence[Revision], targets: Sequence[str] = ()) -> tuple[str, list[str]]:
    """Return the page, and what could not be drawn.

    Parameters
    ----------
    targets : sequence of str
        Names of plots, or files from the repository's top; all if there are none.

    Raises
    ------
    NotFound
        If a target is no plot and no file.
    """
    asked: dict[str, Asked] = {}
    for revision in revisions:
        for name, plot in asked_of(revision).items():
            asked.setdefault(name, plot)
    for target in targets:
        if target not in asked and not any(revision.read(target) is not None for revision in revisions):
            raise NotFound(
                f"there is no plot and no file {target!r}", code="dvc.no_plot", hint=f"plots: {', '.join(asked) or 'none'}"
            )
    chosen = [asked.get(target) or Asked(name=target, columns=((target, None),)) for target in targets] or list(asked.values())
    troubles: list[str] = []
    sections = [_section(plot, revisions, troubles) for plot in chosen]
    title = "Plots" if len(revisions) == 1 else f"Plots: {', '.join(revision.name for revision in revisions)}"
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style></head>'
        f"<body><h1>{escape(title)}</h1><main>{''.join(sections)}</main></body></html>\n"
    )
    return page, troubles


def _section(plot: Asked, revisions: Sequence[Revision], troubles: list[str]) -> str:
    series, pictures, wrong = drawn(plot, revisions)
    troubles += wrong
    parts = [f"<h2>{escape(plot.title or plot.name)}</h2>"]
    if series:
        parts.append(chart(plot, series))
    for picture in pictures:
        content = base64.b64encode(picture.content).decode()
        parts.append(
            f'<p>{escape(picture.name)}</p><img alt="{escape(picture.name)}" src="data:{picture.media_type};base64,{content}">'
        )
    parts += [f"<p>{escape(text)}</p>" for text in wrong]
    return f"<section>{''.join(parts)}</section>"
