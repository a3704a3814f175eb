"""May a request be sent to the job once more, when its answer was lost?

Pure. Any request, while no byte of it reached the job; later only what does no harm twice, with a body that is still
whole; never after a byte of the answer. What does no harm is HTTP's idea (RFC 9110 §9.2.2) unless the application's
table knows better: a JupyterLab upload appends by PUT, most of RStudio's POSTs only read. A job's table is its
template's (`gateway/replay.py`); the one for jobs without a template is here.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.replay import Rule, Table, Twice

_IDEMPOTENT = frozenset([b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"])


class Sent(enum.Enum):
    """How much of the request was written to the job."""

    NONE = "none"
    SOME = "some"
    ALL = "all"


class Verdict(enum.Enum):
    """What to do with a request whose answer was lost, besides `Answer`."""

    RESEND = "resend"
    HONEST_ERROR = "honest error"  # it may have been done, nobody knows: say so, once


@dataclass(frozen=True, slots=True)
class Answer:
    """Say this with status 200 in the job's place: it is what the job said, or would have said.

    Right only if the job goes on from where it had taken the request: after a planned move, not after a loss.
    """

    content_type: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request that was tried. `replayable`: every byte of its body that was read is still here.

    `body_start`: its first bytes, as many as there are; 4096 are enough for what JupyterLab sends.
    """

    method: bytes
    target: bytes
    headers: Sequence[tuple[bytes, bytes]]
    body_start: bytes
    replayable: bool
    sent: Sent
    answered: bool  # a byte of the answer came


def judge(attempt: Attempt, table: Table) -> Verdict | Answer:
    """What to do with a request whose connection was lost."""
    if attempt.answered:
        return Verdict.HONEST_ERROR
    if attempt.sent is Sent.NONE:
        return Verdict.RESEND
    rule = table.rule(attempt.method, attempt.target)
    untouched = attempt.sent is Sent.SOME and table.acts_when_whole
    if attempt.replayable and (untouched or _is_harmless(attempt, rule)):
        return Verdict.RESEND
    if rule is not None and rule.answer and attempt.sent is Sent.ALL:
        return Answer(b"application/json", rule.answer.encode())
    return Verdict.HONEST_ERROR


def worth_keeping(method: bytes, target: bytes, table: Table) -> bool:
    """Whether a request may be sent again once its body has begun to go out: then its body is kept."""
    begun = (Attempt(method, target, (), b"{}", True, sent, answered=False) for sent in (Sent.SOME, Sent.ALL))
    return any(judge(attempt, table) is Verdict.RESEND for attempt in begun)


def idempotent(method: bytes) -> bool:
    """RFC 9110 §9.2.2."""
    return method in _IDEMPOTENT


def only_reads(method: bytes, target: bytes, table: Table) -> bool:
    """Nothing is done twice if it is cut while the job works on it: RFC 9110 §9.2.1, and the table's long polls."""
    if method in (b"GET", b"HEAD", b"OPTIONS"):
        return True
    rule = table.rule(method, target)
    return rule is not None and rule.twice is Twice.POLL


def _is_harmless(attempt: Attempt, rule: Rule | None) -> bool:
    if rule is None:  # a key is what the application asked for to know a repetition by (as in Go's net/http)
        keyed = any(name.lower() in (b"idempotency-key", b"x-idempotency-key") for name, _ in attempt.headers)
        return keyed or idempotent(attempt.method)
    if rule.twice is Twice.JUPYTER_CHUNK:
        return jupyter_chunk(attempt.body_start) in (Chunk.NONE, Chunk.FIRST)
    return rule.twice in (Twice.HARMLESS, Twice.POLL)


class Chunk(enum.Enum):
    """Which part of an upload a PUT to Jupyter's contents is."""

    NONE = "none"  # the whole file
    FIRST = "first"  # truncates the file, then writes
    LATER = "later"  # appends: a second time spoils the file
    UNKNOWN = "unknown"  # the beginning of the body does not tell


_MARK = re.compile(r"[ \t\n\r]*([{}:,])[ \t\n\r]*")
_JSON = json.JSONDecoder()


def jupyter_chunk(body_start: bytes) -> Chunk:
    """Read `chunk` in the first bytes of a contents model (jupyter_server, largefilemanager.py).

    JupyterLab writes type, format, name and chunk before the content. Only files come in chunks.
    """
    try:
        for key, value in _members(body_start.decode("utf-8", "replace")):
            if key == "chunk" and value is not None:
                return Chunk.FIRST if type(value) is int and value == 1 else Chunk.LATER
            if key == "type" and value != "file":
                return Chunk.NONE
    except (ValueError, RecursionError):
        return Chunk.UNKNOWN
    return Chunk.NONE


def _members(text: str) -> Iterator[tuple[Any, Any]]:
    """The members of a JSON object, as far as they are whole. Raises ValueError where the text breaks off."""
    mark, at = _mark(text, 0, "{")
    while mark != "}" and not text.startswith("}", at):
        key, at = _JSON.raw_decode(text, at)
        _, at = _mark(text, at, ":")
        value, at = _JSON.raw_decode(text, at)
        mark, at = _mark(text, at, ",}")  # without either a number might go on
        yield key, value


def _mark(text: str, at: int, wanted: str) -> tuple[str, int]:
    """One of these marks, and where the text goes on. Raises ValueError if none is there."""
    found = _MARK.match(text, at)
    if found is None or found[1] not in wanted:
        raise ValueError("not the JSON that was expected, or cut")
    return found[1], found.end()


def _rules(method: str, twice: Twice, base: str, names: str) -> tuple[Rule, ...]:
    return tuple(Rule(method, base + name, twice) for name in names.split())


GENERIC = Table("generic")

_CHUNKS = Rule("PUT", "*/api/contents/*", Twice.JUPYTER_CHUNK)  # under any base URL

# What has its effect by being the last of its kind, or has none. The rest of /rpc/ is harmful: it runs code, types
# into a terminal, answers a dialog, makes, moves or commits something.
_RSTUDIO_HARMLESS = """
    ping auth_status client_init get_* list_files list_all_files stat is_* search_* find_* suggest_topics
    git_all_status git_full_status git_list_branches git_list_remotes git_history* git_show* git_diff_file
    git_has_repo git_get_ignores svn_status svn_diff_file svn_history* svn_show* *_get_completions pandoc_*
    check_for_external_edit log log_exception
    set_client_state set_prefs set_user_prefs set_user_state set_doc_order
    save_document save_document_diff modify_document_properties close_document
    process_set_size process_set_caption process_set_title process_notify_visible
"""
# The template `rstudio` has the same and more; a test compares them.
_RSTUDIO_CALLS = (
    # The real answer: what the code does comes by events, and a restored session still runs it.
    Rule("POST", "/rpc/console_input", Twice.HARMFUL, '{"result":null,"ep":"true"}'),
    *_rules("POST", Twice.HARMLESS, "/rpc/", _RSTUDIO_HARMLESS),
    Rule("POST", "/rpc/*", Twice.HARMFUL),
    *_rules("POST", Twice.HARMLESS, "/log/", "log log_exception"),
    Rule("POST", "/events/get_events", Twice.POLL),  # events are kept until the next poll names them
)

# For a job of which nobody says what it runs: what cannot be mistaken for another application's.
COMMON = Table("common", (_CHUNKS, *_RSTUDIO_CALLS))
