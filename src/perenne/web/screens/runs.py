"""Runs: the list and what some of them differ in, their curves, and one run with all that was found."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne import data, tracking, training
from perenne.auth import answers, comments, queries
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.roles import Action
from perenne.core.errors import Invalid
from perenne.pipelines.views import FlowSteps, flow_steps
from perenne.storage.database import Transaction
from perenne.storage.links import Kind, links_to
from perenne.tracking import Provenance, UsedDataset
from perenne.tracking.comparing import ComparedRun
from perenne.training import Told

CHILDREN = 50
PARENT = "mlflow.parentRunId"


class RunLink(msgspec.Struct, frozen=True):
    """Another run, in a line."""

    id: str
    name: str
    state: str
    started: int


class UsedData(msgspec.Struct, frozen=True):
    """A snapshot a run used."""

    id: str
    dataset: str
    rows: int
    start: int | None
    end: int | None


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """One run.

    Attributes
    ----------
    run : ComparedRun
    steps : dict
        At which step each metric had its last value.
    provenance : Provenance
    data : tuple of UsedData
        The snapshots it used; `inputs` are data sets that a client named.
    versions : tuple of str
        What it made.
    told : Told
        Trials, metrics with intervals, slices, curves.
    flow : FlowSteps or None
        The pipeline that did the work, live while it does.
    parent, children, children_total : RunLink or None, tuple of RunLink, int
        The run it is part of, and the newest of those that are part of it.
    comments : int
        How many were said about it.
    reproduce : str
        The command that does it again; empty if what it depended on is not recorded.
    """

    run: ComparedRun
    steps: dict[str, int]
    provenance: Provenance
    data: tuple[UsedData, ...]
    inputs: tuple[UsedDataset, ...]
    versions: tuple[str, ...]
    told: Told
    flow: FlowSteps | None
    parent: RunLink | None
    children: tuple[RunLink, ...]
    children_total: int
    comments: int
    reproduce: str
