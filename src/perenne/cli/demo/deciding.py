"""What waits for a person: whoever watches decides, at the page or at the terminal; if nobody does, the demo says that it did."""

import contextlib
from collections.abc import Callable

from perenne import registry, serving
from perenne.auth.principals import Principal
from perenne.cli.demo.audience import Audience
from perenne.cli.demo.story import Narrator
from perenne.core.errors import Conflict
from perenne.registry import GateState
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace

AT_TERMINAL = "decided at the demo's terminal"
NOT_ASKED = "nobody was asked: the demo was started with --yes"
ALONE = "nobody was there to ask: the demo went on by itself"


class Decisions:
    """Asks for decisions and waits for them, and keeps what was decided at the terminal.

    Parameters
    ----------
    workspace : Workspace
        The demo's.
    person : Principal
        In whose name the terminal decides.
    audience : Audience
        Who is asked.
    narrator : Narrator
        Says that something waits.
    url : str
        Where the page is.
    turn : callable
        Keeps the loop going while somebody thinks.
    yes : bool
        Ask nobody.
    """

    def __init__(
        self,
        workspace: Workspace,
        person: Principal,
        audience: Audience,
        narrator: Narrator,
        url: str,
        turn: Callable[[], object],
        *,
        yes: bool,
    ) -> None:
        self._database = workspace.database
        self._person = person
        self._audience = audience
        self._narrator = narrator
        self._url = url
        self._turn = turn
        self._yes = yes

    def approve_waiting(self, model: str) -> int:
        """Have every version of a model that waits for approval decided; return how many were."""
        with self._database.read() as tx:
            waiting = [found.version.id for found in registry.summary.waiting(tx) if found.version.model == model]
        for version in waiting:
            self._approve(version)
        return len(waiting)

    def resume(self, name: str) -> None:
        """Have it decided whether a stopped deployment answers again."""
        answer, reason = self._decide(
            f"{name} is stopped: shall it answer again?", f"/deploy/{name}", lambda tx: not self._is_stopped(tx, name)
        )
        if answer is None:
            return
        if not answer:
            self._narrator.say("serve", f"{name} stays stopped; `perenne deploy resume {name}` lets it answer again")
            return
        with contextlib.suppress(Conflict):  # somebody was quicker at the page
            self._database.write(lambda tx: serving.service.resume(tx, self._person, name, reason=f"mended upstream; {reason}"))

    def _approve(self, version: str) -> None:
        answer, reason = self._decide(f"{version} waits for approval: may it serve?", "/", lambda tx: not _waits(tx, version))
        if answer is not None:
            with contextlib.suppress(Conflict):  # somebody was quicker at the page
                self._database.write(
                    lambda tx: registry.approvals.decide(tx, self._person, version, approve=answer, reason=reason)
                )

    def _decide(self, question: str, path: str, settled: Callable[[Transaction], bool]) -> tuple[bool | None, str]:
        """Return what is to be done and why; None if somebody did it already, at the page."""
        if self._yes:
            return True, NOT_ASKED
        if self._audience.present:
            here = ", or here: y or n, then Enter" if self._audience.terminal else ""
            self._audience.forget_typed()
            self._narrator.ask(f"{question} Decide at {self._url}{path}{here}")
            answer = self._audience.answer(lambda: self._read(settled), self._turn)
            if answer is not None:
                return answer, AT_TERMINAL
            if self._read(settled):
                return None, ""
        return True, ALONE

    def _read(self, question: Callable[[Transaction], bool]) -> bool:
        with self._database.read() as tx:
            return question(tx)

    @staticmethod
    def _is_stopped(tx: Transaction, name: str) -> bool:
        return serving.service.get_deployment(tx, name).stop is not None


def _waits(tx: Transaction, version: str) -> bool:
    return registry.dossier(tx, version).gate.state is GateState.WAITING
