"""docs/states.md, drawn from the tables of model.py: `python -m gateway.opcenter.draw > docs/states.md`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.types import GateState, JobStatus, Step

from .model import ACTIONS, ENDED, FIRST_STEPS, GATES, LEGAL, LEGAL_STEPS, RESERVED

_MEANING: Mapping[JobStatus, str] = {
    JobStatus.SUBMITTED: "accepted and saved; nothing was asked of the engine yet",
    JobStatus.INITIALIZING: "the engine is being asked for a host",
    JobStatus.STARTING: "the program runs, its ports do not accept connections yet",
    JobStatus.EXECUTING: "the program runs and its ports accept connections",
    JobStatus.FLOATING: "on the way from one host to another; browsers wait",
    JobStatus.SUSPENDING: "its state is being saved, to free the host",
    JobStatus.SUSPENDED: "its state lies in an image, no host is used; also after restores that failed",
    JobStatus.RESUMING: "its state is being brought back",
    JobStatus.CAPTURING: "reserved: a snapshot of a running job; no engine here has one without a pause",
    JobStatus.COMPLETED: "the program ended with exit status 0",
    JobStatus.CANCELLING: "a user ended it; what is left at the engine is being cleaned",
    JobStatus.CANCELLED: "a user ended it, and nothing is left",
    JobStatus.FAIL_TO_EXECUTE: "it could not be started, or ended before its ports accepted",
    JobStatus.FAIL_TO_COMPLETE: "it ended with another exit status, or its host was lost without an image",
    JobStatus.CHECKPOINT_FAILED: "its state was lost while it was being saved, and there is no older image",
    JobStatus.TIMEDOUT: "it has run for its time limit",
    JobStatus.NO_AVAILABLE_HOST: "no host was free to start it on",
    JobStatus.WAITING_FOR_LICENSE: "reserved: nothing here needs a licence",
    JobStatus.UNKNOWN: "reserved: what clients show for a name they do not know; an engine that cannot tell "
    "changes no status",
}


def draw() -> str:
    """The whole page, Markdown."""
    return "\n".join([*_intro(), *_diagram(), "", *_table(), "", *_steps(), ""])


def _intro() -> Iterable[str]:
    return (
        "# The states of a job",
        "",
        "Drawn from the tables in `gateway/opcenter/model.py` by `python -m gateway.opcenter.draw`: do not edit.",
        "A move that is not drawn here raises `IllegalMove`.",
        "",
    )


def _diagram() -> Iterable[str]:
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield "    [*] --> Submitted"
    for before, after in LEGAL.items():
        yield from (f"    {before} --> {one}" for one in _ordered(after))
    yield from (f"    {one} --> [*]" for one in _ordered(ENDED))
    yield "```"


def _table() -> Iterable[str]:
    yield "| status | meaning | gate | a user may | goes on to |"
    yield "|---|---|---|---|---|"
    for status in JobStatus:
        actions = ", ".join(ACTIONS.get(status, ())) or "–"
        after = ", ".join(_ordered(LEGAL[status])) or ("–" if status in RESERVED else "the end")
        yield f"| {status} | {_MEANING[status]} | {GATES[status]} | {actions} | {after} |"


def _steps() -> Iterable[str]:
    yield "## Steps inside of a move"
    yield ""
    yield "```mermaid"
    yield "stateDiagram-v2"
    for status, firsts in FIRST_STEPS.items():
        yield from (f"    {status} --> {one}" for one in Step if one in firsts)
    for before, after in LEGAL_STEPS.items():
        yield from (f"    {before} --> {one}" for one in Step if one in after)
    yield "```"
    yield ""
    yield "What a gateway does with requests: " + ", ".join(f"`{one}`" for one in GateState) + "."


def _ordered(statuses: Iterable[JobStatus]) -> list[JobStatus]:
    found = set(statuses)
    return [one for one in JobStatus if one in found]


if __name__ == "__main__":
    print(draw(), end="")
