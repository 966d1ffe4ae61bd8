"""The root command. A command's module is imported when the command is used, so that help and version answer at once."""

import os
import sys
from typing import Any

import click

import perenne
from perenne.cli.lazy import LazyGroup
from perenne.cli.places import place_options
from perenne.cli.terminal import shows_progress, take_wishes
from perenne.core.errors import PerenneError
from perenne.core.interrupts import is_interrupt

INTERRUPTED = 130

COMMANDS = {
    "init": ("perenne.cli.init:init", "Write a project from a file of data and the name of a column."),
    "run": ("perenne.cli.run:run", "Do one round: data, training, evaluation, registration, gate."),
    "up": ("perenne.cli.up:up", "Keep the loop going: API, scheduler, worker, model server."),
    "worker": ("perenne.cli.worker:worker", "Do jobs, on this machine or any other."),
    "demo": ("perenne.cli.demo.command:demo", "Go all the way round with the real flights of 2013."),
    "serve": ("perenne.cli.serve:serve", "Serve a deployment, or a version of the registry."),
    "open": ("perenne.cli.open:open_page", "Look at what was just made, or at anything by its name, in the browser."),
    "status": ("perenne.cli.status:status", "Show every stage of the loop and what needs a person."),
    "why": ("perenne.cli.why:why", "Explain one prediction: model, data, approvals, drift, inputs."),
    "backup": ("perenne.cli.backup:backup", "Write database and objects to one file, and verify it."),
    "restore": ("perenne.cli.backup:restore_command", "Fill an empty installation from a backup."),
    "migrate": ("perenne.cli.backup:migrate", "Bring the database to the newest schema."),
    "debug": ("perenne.cli.debug:debug", "Put together what a bug report needs, without secrets."),
    "completion": ("perenne.cli.completion:completion", "Print what lets a shell complete commands and names."),
    "doctor": ("perenne.cli.doctor:doctor", "Check this installation: database, objects, audit trail."),
    "project": ("perenne.projects.commands:project", "What a project is for, and what it must reach."),
    "data": ("perenne.data.commands:data", "Versions of files, snapshots of tables, profiles, validation."),
    "label": ("perenne.labels.commands:label", "What people and rules say of rows; training sets from it."),
    "dvc": ("perenne.protocols.dvc.command_line.group:dvc", "DVC's own command line, on the same repository."),
    "pipeline": ("perenne.pipelines.commands:pipeline", "Runs of pipelines; the stages of a dvc.yaml."),
    "runs": ("perenne.tracking.commands:runs", "What was tried, and what came out."),
    "experiments": ("perenne.tracking.commands:experiments", "Names under which runs are compared."),
    "gc": ("perenne.tracking.commands:gc", "Remove for good what was deleted long ago."),
    "import": ("perenne.cli.moving:import_", "Bring in what other tools keep: MLflow."),
    "export": ("perenne.cli.moving:export", "Bring what is here to other tools: MLflow."),
    "model": ("perenne.cli.model:model", "Models and their versions: evidence, gate, decisions, aliases."),
    "gate": ("perenne.delivery.commands:gate", "What a version must show before it is delivered."),
    "ci": ("perenne.delivery.ci_commands:ci", "Write the pipeline of a forge, which calls the gates."),
    "review": ("perenne.registry.commands:review", "Who must look at versions, and what they said."),
    "deploy": ("perenne.cli.deploy:deploy", "What answers whom: champion, challengers, roll-back, stop."),
    "package": ("perenne.cli.package:package", "Versions as what runs anywhere: images, edge, browser."),
    "monitor": ("perenne.cli.monitor:monitor", "Windows, drift, performance, labels."),
    "alert": ("perenne.cli.monitor:alert", "What needs attention, and who has seen it."),
    "trace": ("perenne.llm.commands:trace", "What language models did, and what was said of it."),
    "policy": ("perenne.cli.policy:policy", "Retraining: policies, episodes, a trigger by hand."),
    "token": ("perenne.auth.commands:token", "Tokens: who may call the servers, and what for."),
    "job": ("perenne.cli.job:job", "Work in the queue: what waits, runs, failed."),
    "event": ("perenne.cli.event:event", "What could not be delivered within the loop."),
    "audit": ("perenne.auth.commands:audit", "Who did what; verify the chain."),
}


SECTIONS = {
    "Start": ("init", "run", "up", "demo", "open"),
    "Look": ("status", "why", "doctor"),
    "Originate": ("project",),
    "Data": ("data", "dvc", "label"),
    "Train": ("pipeline", "runs", "experiments"),
    "Review": ("model", "review"),
    "Deliver": ("gate", "package", "ci"),
    "Serve": ("serve", "deploy"),
    "Monitor": ("monitor", "alert", "trace"),
    "Retrain": ("policy",),
    "Govern": ("token", "audit"),
    "Operate": ("worker", "job", "event", "backup", "restore", "migrate", "import", "export", "gc", "debug", "completion"),
}
"""Which commands stand together in the help: by the stages of the loop, with what begins and what operates it around them."""


@click.group(cls=LazyGroup, table=COMMANDS, sections=SECTIONS, context_settings={"help_option_names": ["-h", "--help"]})
@place_options
@click.version_option(perenne.__version__, prog_name="perenne")
@click.pass_context
def root(context: click.Context) -> None:
    """From milestone to continuity: take a model from data to production and keep it healthy there.

    \b
    Examples:
      perenne init --data churn.csv --target churned
      perenne run
      perenne up --open

    Every command takes --json, --quiet (no notes, no progress) and --no-color. Tables become tab-separated text when piped;
    progress and logs go to stderr.
    """
    from perenne.storage.workspace import Workspace

    context.meta["perenne.progress"] = shows_progress()
    context.obj = context.with_resource(Workspace())


def invoke(arguments: list[str]) -> int:
    """Run a command line, render what it returns or what went wrong, and return the exit code."""
    from perenne.cli.output import render, render_error

    arguments = take_wishes(arguments)
    try:
        answer: Any = root.main(arguments, prog_name="perenne", standalone_mode=False)
        return answer if isinstance(answer, int) else render(answer)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show(sys.stderr)
        return error.exit_code
    except click.ClickException as error:
        from perenne.cli.mistakes import said_as_ours

        render_error(said_as_ours(error))
        return error.exit_code
    except PerenneError as error:
        from perenne.cli.mistakes import with_similar_names

        render_error(with_similar_names(error, arguments))
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if is_interrupt(error):
            return INTERRUPTED
        if os.environ.get("PERENNE_DEBUG"):
            raise
        hint = "this is a defect of perenne; PERENNE_DEBUG=1 shows where"
        render_error(PerenneError(f"{type(error).__name__}: {error}", hint=hint))
        return 1
