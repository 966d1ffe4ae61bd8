"""What may be asked of models and versions in the filter language."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from perenne.core.filters import Clause, Op, Tree, clauses_of
from perenne.registry.model import VersionForm
from perenne.registry.model_store import model_tag, registered_model, version_tag
from perenne.registry.store import alias, version
from perenne.storage.attributes import Number, Text
from perenne.storage.comparing import Words, holds, text_of
from perenne.storage.families import Attached, Keys
from perenne.storage.filtering import KeyTable

MILLISECOND = 1_000
IS_PROMPT = "mlflow.prompt.is_prompt"


class _Words(Words):
    """The texts of searches whose entities are attributes and tags only."""

    def entity(self, entity: str, families: Sequence[str]) -> str:
        """Say that there is no such entity."""
        return f"Invalid entity type '{entity[:200]}'. Valid entity types are ('attribute', 'tag', 'tags')"


class _Tags(Attached):
    """Tags, and whether it is a prompt: what has no tag that says so is none."""

    def __init__(self, owner: Any, key: Any, value: Any, prompt: Any) -> None:
        super().__init__(owner, key, value)
        self._prompt = prompt

    def condition(self, clauses: Sequence[Clause], keys: Keys, words: Words) -> "sa.ColumnElement[bool]":
        """Return that a tag fits."""
        (clause,) = clauses
        if clause.name != IS_PROMPT or clause.op is Op.NULL:
            return super().condition(clauses, keys, words)
        values = [text_of(value, clause, "tag") for value in clause.values]
        prompt, model = (holds(text, clause.op, values) != clause.negated for text in ("true", "false"))
        if prompt == model:
            return sa.true() if prompt else sa.false()
        fits: sa.ColumnElement[bool] = self._prompt if prompt else sa.not_(self._prompt)
        return fits

    def source(self, clause: Clause, keys: Keys, words: Words) -> Any:
        """Return a query for the things that fit; none for what need not have a tag."""
        return None if clause.name == IS_PROMPT else super().source(clause, keys, words)


def about_prompts(tree: Tree | None) -> bool:
    """Tell whether a filter says anything of prompts; if not, they are left out."""
    return any(clause.name == IS_PROMPT for clause in clauses_of(tree))


_UPDATED = Number(registered_model.c.updated, unit=MILLISECOND, times=True)
MODELS = KeyTable(
    registered_model.c.name,
    attributes={
        "name": Text(registered_model.c.name, indexed=True),
        "timestamp": _UPDATED,
        "last_updated_timestamp": _UPDATED,
        "creation_timestamp": Number(registered_model.c.created, unit=MILLISECOND, times=True),
        "description": Text(registered_model.c.description),
        "project": Text(registered_model.c.project),
        "user_id": Text(registered_model.c.created_by),
    },
    families={"tag": _Tags(model_tag.c.model, model_tag.c.key, model_tag.c.value, registered_model.c.prompt)},
    aliases={"tags": "tag", "attributes": "attribute"},
    ties=((registered_model.c.name, True),),
    words=_Words(),
)

_CHANGED = Number(version.c.updated, unit=MILLISECOND, times=True)
_MADE = Number(version.c.created, unit=MILLISECOND, times=True)
VERSIONS = KeyTable(
    version.c.id,
    attributes={
        "name": Text(version.c.model, indexed=True),
        "version_number": Number(version.c.number),
        "run_id": Text(version.c.run, indexed=True),
        "source_path": Text(version.c.source),
        "creation_timestamp": _MADE,
        "last_updated_timestamp": _CHANGED,
        "current_stage": Text(version.c.stage),
        "description": Text(version.c.description),
        "project": Text(version.c.project),
        "user_id": Text(version.c.created_by),
        "state": Text(sa.func.replace(sa.type_coerce(version.c.state, sa.Text), '"', "")),
        "model_id": Text(version.c.logged_model),
    },
    families={
        "tag": _Tags(version_tag.c.version, version_tag.c.key, version_tag.c.value, version.c.form == VersionForm.PROMPT),
        "alias": Attached(alias.c.version, alias.c.name, alias.c.name),
    },
    aliases={"tags": "tag", "attributes": "attribute", "aliases": "alias"},
    ties=((version.c.model, True), (version.c.number, False)),
    default=((version.c.updated, False), (version.c.model, True), (version.c.number, False)),
    words=_Words(),
)
