"""A table of plain values, as MLflow's and KServe's clients send it, read as the columns of a signature."""

from typing import Any

from perenne.core.errors import Invalid
from perenne.formats.scoring import Table
from perenne.inference import Signature
from perenne.protocols.columns import read_values
from perenne.serving import Answer, Rows


def rows_of(table: Table, signature: Signature, context: Any = None) -> Rows:
    """Find the signature's columns in a table: by name, or by place where the rows came bare.

    Raises
    ------
    Invalid
        If one is missing, or a value is not of the field's kind.
    """
    if table.names is None:
        if table.rows and len(table.columns) != len(signature.fields):
            raise Invalid(
                f"the rows have {len(table.columns)} values, the model takes {len(signature.fields)}",
                code="INVALID_PARAMETER_VALUE",
            )
        given = dict(zip(signature.names, table.columns or ((),) * len(signature.fields), strict=True))
    else:
        given = dict(zip(table.names, table.columns, strict=True))
        refuse_missing(signature, given, empty=not table.rows and not table.names)
    columns = {field.name: read_values(field, given.get(field.name, ())) for field in signature.fields}
    return Rows(columns, table.rows, context=context)


def refuse_missing(signature: Signature, given: "dict[str, Any]", *, empty: bool = False) -> None:
    """Refuse a table that lacks a column, in MLflow's words; one without any rows and names lacks none."""
    lacking = [name for name in signature.names if name not in given]
    if lacking and not empty:
        raise Invalid(f"Model is missing inputs {lacking}.", code="INVALID_PARAMETER_VALUE")


def predictions_of(answer: Answer) -> list[Any]:
    """Return one answer per row: a label, a number or a tensor; of a model with several outputs, a record of them."""
    if answer.outputs is None:
        return answer.labels
    nested = {name: values.tolist() for name, values in answer.outputs.items()}
    if len(nested) == 1:
        alone: list[Any] = next(iter(nested.values()))
        return alone
    return [{name: rows[row] for name, rows in nested.items()} for row in range(len(answer.labels))]
