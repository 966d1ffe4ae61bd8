"""`perenne monitor dashboards`: writes what Grafana, Kibana and Elasticsearch take in."""

import json
from pathlib import Path

import click

from perenne.core.errors import Invalid
from perenne.core.results import Result
from perenne.monitoring.dashboards import grafana, kibana, templates
from perenne.storage.workspace import Workspace


@click.command()
@click.option("--grafana", "for_grafana", is_flag=True, help="A dashboard for Grafana, over Prometheus.")
@click.option("--kibana", "for_kibana", is_flag=True, help="Saved objects for Kibana, and templates for Elasticsearch.")
@click.option("--to", "folder", required=True, type=click.Path(file_okay=False, path_type=Path), help="The folder to write to.")
@click.pass_obj
def dashboards(_: Workspace, for_grafana: bool, for_kibana: bool, folder: Path) -> Result:
    """Write dashboards for other programs as files; both kinds, if none is named.

    \b
    Examples:
      perenne monitor dashboards --to dashboards
      perenne monitor dashboards --kibana --to kibana
    """
    texts: dict[str, str] = {}
    if for_grafana or not for_kibana:
        texts["perenne-grafana.json"] = _text(grafana.dashboard())
    if for_kibana or not for_grafana:
        texts["perenne.ndjson"] = kibana.ndjson()
        texts |= {name: _text(made()) for name, (_request, made) in templates.FILES.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text)
    except OSError as error:
        hint = "name a folder that may be written to"
        raise Invalid(f"{folder} cannot be written to: {error.strerror}", code="monitor.folder", hint=hint) from error
    uses = {name: request for name, (request, _made) in templates.FILES.items()}
    uses |= {
        "perenne.ndjson": "POST /api/saved_objects/_import?overwrite=true",
        "perenne-grafana.json": "Dashboards > New > Import",
    }
    return Result([{"file": str(folder / name), "for": uses[name]} for name in texts])


def _text(value: object) -> str:
    return json.dumps(value, indent=1) + "\n"
