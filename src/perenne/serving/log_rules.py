"""What is kept of predictions and where it goes: the rules of a deployment, pure; `outlets` carries them out."""

from typing import Literal

import msgspec

from perenne.core.clock import DAY
from perenne.core.errors import Invalid

Mode = Literal["binary", "structured", "batch"]
LONGEST = 100 * 366 * DAY


class LogRules(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a deployment's predictions.

    Attributes
    ----------
    sample : float
        The share of requests whose rows are written and sent; all rows of a request, or none. Profiles count every row.
    redact : tuple of str
        What becomes of named inputs before anything is written or sent, as `input=rule` in the words of `data.privacy`.
    keep : int
        For how long rows are kept, in microseconds; 0 for good.
    ecs : bool
        Whether each row is also written as a line of Elastic Common Schema JSON, for Filebeat.
    elasticsearch : bool
        Whether each row is also sent to Elasticsearch, where `PERENNE_ELASTICSEARCH_URL` of the model server says that it is.
    cloudevents_url : str
        Where requests and answers are sent as CloudEvents, in the form of KServe's logger; empty for nowhere.
    cloudevents_mode : str
        `binary`: attributes as headers; `structured`: the whole event as JSON; `batch`: up to a hundred in a list.
    """

    sample: float = 1.0
    redact: tuple[str, ...] = ()
    keep: int = 0
    ecs: bool = False
    elasticsearch: bool = False
    cloudevents_url: str = ""
    cloudevents_mode: Mode = "binary"


def check(rules: LogRules) -> LogRules:
    """Return the rules if they can be carried out. Raises Invalid, naming what cannot."""
    if not 0 <= rules.sample <= 1:
        raise Invalid("sample: not a share between 0 and 1", code="deployment.log", hint="0.1 keeps one request of ten")
    if not 0 <= rules.keep <= LONGEST or 0 < rules.keep < DAY:
        raise Invalid("keep: not a day or more", code="deployment.log", hint="such as 30d; 0 keeps rows for good")
    if rules.cloudevents_url and not rules.cloudevents_url.startswith(("https://", "http://")):
        raise Invalid(
            "cloudevents_url: not an address of http or https", code="deployment.log", hint="https://events.example.org/"
        )
    if len(rules.cloudevents_url) > 2_000:
        raise Invalid("cloudevents_url: longer than 2,000 characters", code="deployment.log", hint="use a shorter one")
    return rules
