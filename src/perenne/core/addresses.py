"""Where a thing is shown: the address of its page, by its kind and its id."""

from urllib.parse import quote

_BY_ID = {
    "project": "/project/{}",
    "run": "/runs/{}",
    "experiment": "/runs?experiment={}",
    "view": "/runs?view={}",
    "deployment": "/deploy/{}",
    "episode": "/policy/{}",
    "alert": "/alert/{}",
    "snapshot": "/data/snapshot/{}",
    "dataset": "/data/{}",
    "label set": "/label/{}",
    "model": "/model/{}",
    "monitor": "/monitor/{}",
    "prediction": "/why/{}",
    "job": "/job?job={}",
    "record": "/audit?record={}",
}


def address_of(kind: str, identity: str) -> str:
    """Return the address of a thing's page; an empty text if it has none.

    >>> address_of("project", "churn"), address_of("version", "churn@3"), address_of("token", "01")
    ('/project/churn', '/model/churn?version=3', '')
    >>> address_of("alert", "01M8GQ"), address_of("job", "01M8GQ"), address_of("prediction", "01M8GQ-0")
    ('/alert/01M8GQ', '/job?job=01M8GQ', '/why/01M8GQ-0')
    """
    if kind == "version":
        model, _, number = identity.rpartition("@")
        return f"/model/{quote(model)}?version={quote(number)}" if model else ""
    if kind == "alias":
        kind, identity = "model", identity.partition("/")[0]
    if kind == "event":
        return "/job"
    return _BY_ID[kind].format(quote(identity, safe="")) if kind in _BY_ID and identity else ""
