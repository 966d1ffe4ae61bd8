"""From a filter to conditions of SQL: a table of keys says what may be asked of a thing, and which column answers.

How a domain declares its search, beside its tables::

    MODELS = KeyTable(
        model.c.id,                                             # what is searched: the key of its table
        attributes={"name": Text(model.c.name, indexed=True), "creation_timestamp": Number(model.c.created, unit=1000)},
        families={"tag": Attached(model_tag.c.model, model_tag.c.key, model_tag.c.value)},
        aliases={"tags": "tag", "attributes": "attribute"},     # other names of the families and of "attribute"
        ties=((model.c.name, True),),                           # (column, ascending): between equals; the last is unique
    )

    found = search(tx, MODELS, "tags.team = 'x' OR name LIKE 'a%'", ["name DESC"], where=[...], limit=100, token="")
    found.keys, found.token                                     # ids in order; hydrate them by one statement for each table

`search` is in `perenne.storage.searching`. One that cannot use it takes the pieces: `parse_filter` (`core.filters`),
`KeyTable.compile` here, `Orders` and page tokens (`storage.ordering`), and `bounded` (`storage.bounds`) for the time it may take.

- Attributes (`storage.attributes`) are columns of the thing's own table, or expressions over it: `Text`, `Number`,
  `Identifier`, `Choice`. `Number(unit=1000)` is a column in microseconds of which clients speak in milliseconds; with `times` or
  `spans` it also takes ``'2026-01-31'`` or ``'5m'``. One attribute may have several names: put it in under each.
- Families (`storage.families`) are keys of any name. `Attached`: rows of a key and a value (tags, parameters, metrics), of
  which one must fit. `Related`: rows of another table with attributes of their own (data sets, spans, assessments); with
  `together` all clauses that AND joins must hold for the same row; `dynamic` makes attributes for names that are not listed.
- Whatever else is needed is a subclass of `Attribute` or `Family` beside the domain's tables.
- `Words` (`storage.comparing`) has the texts of what is refused, which are MLflow's for runs; subclass it where they differ.

Every value is a bound parameter. A clause is true or false, never unknown, so that NOT means what it says; what a thing does not
have fits no clause but IS NULL.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import sqlalchemy as sa

from perenne.core.errors import Invalid
from perenne.core.filters import And, Clause, Not, Op, Or, Ordering, Tree, clauses_of
from perenne.storage.attributes import Attribute, Sort
from perenne.storage.comparing import Words, refused
from perenne.storage.families import Family, Keys
from perenne.storage.transaction import Transaction

ATTRIBUTE = "attribute"
Condition: TypeAlias = sa.ColumnElement[bool]


class KeyTable:
    """What may be asked of one kind of thing.

    Parameters
    ----------
    root : Column
        The key by which others refer to the thing; unique.
    attributes : dict of Attribute
        What a key without an entity, or with the entity ``attribute``, is.
    families : dict of Family
        The other entities.
    aliases : dict of str
        Other names of entities.
    ties : sequence of (Column, bool)
        What decides between those that are equal, and whether it ascends; the last of them is unique.
    default : sequence of (Column, bool), optional
        The order if none is asked for, if it is not `ties`.
    dictionary : callable, optional
        Returns the numbers of names, for families whose tables have numbers instead.
    words : Words, optional
        The texts of errors.
    orderings : collection of str, optional
        The attributes that may be sorted by, if not all.
    """

    def __init__(
        self,
        root: Any,
        *,
        attributes: Mapping[str, Attribute],
        families: Mapping[str, Family] | None = None,
        aliases: Mapping[str, str] | None = None,
        ties: Sequence[tuple[Any, bool]],
        default: Sequence[tuple[Any, bool]] = (),
        dictionary: Callable[[Transaction, Iterable[str]], Keys] | None = None,
        words: Words | None = None,
        orderings: Iterable[str] | None = None,
    ) -> None:
        self.root, self.attributes, self.ties, self.default = root, attributes, tuple(ties), tuple(default) or tuple(ties)
        self.families = dict(families or {})
        self.words = words or Words()
        self.entities = {ATTRIBUTE: ATTRIBUTE, **{name: name for name in self.families}, **(aliases or {})}
        self.orderings = set(attributes if orderings is None else orderings)
        self._dictionary = dictionary
        for name, family in self.families.items():
            family.label, family.root = name, root

    def keys(self, tx: Transaction, tree: Tree | None, orders: Sequence[Ordering] = ()) -> Keys:
        """Look up the numbers of all names in a filter and orders, in one statement."""
        asked: list[Clause | Ordering] = [*clauses_of(tree), *orders]
        wanted = {found for one in asked if (found := self._looked_up(one)) is not None}
        return self._dictionary(tx, wanted) if wanted and self._dictionary is not None else {}

    def compile(self, tree: Tree | None, keys: Keys) -> Condition | None:
        """Return the condition that a filter is; None if it is empty.

        Raises
        ------
        Invalid
            If it asks for what there is not (`filter.entity`, `filter.key`), or in a way that the key does not have
            (`filter.comparator`, `filter.value`).
        """
        if tree is None:
            return None
        if isinstance(tree, Clause):
            return self._clause(tree, keys)
        if isinstance(tree, Not):
            return sa.not_(_known(self.compile(tree.part, keys)))
        if isinstance(tree, Or):
            return sa.or_(*(_known(self.compile(part, keys)) for part in tree.parts))
        return sa.and_(*self.conjuncts(tree, keys))

    def conjuncts(self, tree: Tree | None, keys: Keys) -> list[Condition]:
        """Return the conditions all of which must hold; clauses that speak of the same row are one of them."""
        parts = tree.parts if isinstance(tree, And) else () if tree is None else (tree,)
        conditions: list[Condition] = []
        same_row: dict[str, list[Clause]] = {}
        for part in parts:
            entity = self.entity(part) if isinstance(part, Clause) else ATTRIBUTE
            if isinstance(part, Clause) and entity != ATTRIBUTE and self.families[entity].together and part.op is not Op.NULL:
                same_row.setdefault(entity, []).append(part)
            else:
                conditions.append(_known(self.compile(part, keys)))
        return conditions + [self.families[name].condition(some, keys, self.words) for name, some in same_row.items()]

    def sources(self, tree: Tree | None, keys: Keys) -> list[Any]:
        """Return queries for the keys of things, each of which finds by indexes all that may fit, some perhaps more than once."""
        parts = tree.parts if isinstance(tree, And) else () if tree is None else (tree,)
        found = [self._source(part, keys) for part in parts]
        return [query for query in found if query is not None]

    def sort(self, order: Ordering, keys: Keys) -> Sort | None:
        """Return what an order sorts by; None if nothing has it.

        Raises
        ------
        Invalid
            If there is no such key.
        """
        entity = self.entity(order)
        if entity != ATTRIBUTE:
            return self.families[entity].sort(order.name, keys, order.said)
        if order.name not in self.orderings:
            message = self.words.attribute(order.name, self.orderings)
            raise Invalid(message, code="filter.order", hint=f"in the order {order.said[:200]!r}")
        return self.attributes[order.name].sort()

    def entity(self, asked: Clause | Ordering) -> str:
        """Return the entity of a key. Raises Invalid if there is none of that name."""
        if not asked.entity:
            return ATTRIBUTE
        if asked.entity not in self.entities:
            message = self.words.entity(asked.entity, [*self.families, ATTRIBUTE])
            if isinstance(asked, Clause):
                raise refused(message, "filter.entity", asked)
            raise Invalid(message, code="filter.entity", hint=f"in the order {asked.said[:200]!r}")
        return self.entities[asked.entity]

    def _clause(self, clause: Clause, keys: Keys) -> Condition:
        entity = self.entity(clause)
        if entity != ATTRIBUTE:
            return self.families[entity].condition([clause], keys, self.words)
        found = self.attributes.get(clause.name)
        if found is None:
            raise refused(self.words.attribute(clause.name, self.attributes), "filter.key", clause)
        if clause.comparator not in found.operators:
            found.check(clause)
            self.words.check(clause, found.operators)
        return found.condition(clause)

    def _source(self, part: Tree, keys: Keys) -> Any:
        if isinstance(part, Clause):
            return self._source_of_clause(part, keys)
        if isinstance(part, And):
            return next(iter(self.sources(part, keys)), None)
        found: list[Any] = [self._source(one, keys) for one in part.parts] if isinstance(part, Or) else [None]
        if any(query is None for query in found):
            return None
        return sa.union_all(*(sa.select(next(iter(query.subquery().c))) for query in found))

    def _source_of_clause(self, clause: Clause, keys: Keys) -> Any:
        entity = self.entity(clause)
        if entity != ATTRIBUTE:
            return self.families[entity].source(clause, keys, self.words)
        found = self.attributes[clause.name]
        if not found.indexed or clause.negated or clause.op not in (Op.EQ, Op.IN):
            return None
        return sa.select(self.root).where(found.condition(clause))

    def _looked_up(self, asked: Clause | Ordering) -> str | None:
        entity = self.entity(asked)
        return None if entity == ATTRIBUTE else self.families[entity].looked_up(asked.name)


def _known(condition: Condition | None) -> Condition:
    assert condition is not None
    return condition
