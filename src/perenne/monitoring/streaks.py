"""Where an alert goes, given what its windows say in a row, and how a deployment stands by its alerts: pure."""

from collections.abc import Sequence

from perenne.monitoring.model import AlertState, Outcome, WindowState


def streaks(outcomes: Sequence[Outcome]) -> tuple[int, int]:
    """Count the alarms in a row, and the windows without alarm in a row, up to now; windows that say nothing are passed over.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Newest first.

    >>> streaks([Outcome.ALARM, Outcome.UNKNOWN, Outcome.ALARM, Outcome.CLEAR])
    (2, 0)
    """
    known = [outcome for outcome in outcomes if outcome is not Outcome.UNKNOWN]
    if not known:
        return 0, 0
    length = next((index for index, outcome in enumerate(known) if outcome is not known[0]), len(known))
    return (length, 0) if known[0] is Outcome.ALARM else (0, length)


def next_state(state: AlertState, alarms: int, clears: int, *, confirm: int, clear: int) -> AlertState:
    """Tell where an alert goes, given the alarms or the windows without alarm in a row up to now.

    >>> next_state(AlertState.OK, 1, 0, confirm=2, clear=2).value
    'pending'
    >>> next_state(AlertState.FIRING, 0, 2, confirm=2, clear=2).value
    'resolved'
    """
    if state is AlertState.FIRING:
        return AlertState.RESOLVED if clears >= clear else AlertState.FIRING
    if alarms >= confirm:
        return AlertState.FIRING
    if alarms:
        return AlertState.PENDING
    return AlertState.OK if clears or state is not AlertState.PENDING else AlertState.PENDING


def state_word(firing: bool, pending: bool, newest: WindowState | None) -> str:
    """Put into a word how a deployment stands: by its open alerts, and by its champion's newest window if one was judged.

    >>> state_word(False, True, WindowState.OK), state_word(False, False, None)
    ('warn', 'no_data')
    """
    if firing:
        return "alarm"
    if pending or newest in (WindowState.ALARM, WindowState.WARN):
        return "warn"
    return "no_data" if newest is None else newest.value
