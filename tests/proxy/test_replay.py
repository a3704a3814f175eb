"""replay.py: what may be sent twice, for every table and every point at which a request can be lost."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.opcenter import templates
from gateway.proxy.replay import (
    COMMON,
    GENERIC,
    Answer,
    Attempt,
    Chunk,
    Sent,
    Verdict,
    idempotent,
    judge,
    jupyter_chunk,
    only_reads,
    worth_keeping,
)
from gateway.replay import Rule, Table, Twice

JUPYTER, RSTUDIO = (table for one in templates.load().values() if (table := one.replay) is not None)
TABLES = {table.name: table for table in (GENERIC, JUPYTER, RSTUDIO, COMMON)}
RESEND, ERROR = Verdict.RESEND, Verdict.HONEST_ERROR
NO_EFFECT = b"GET HEAD OPTIONS TRACE".split()
METHODS = [*NO_EFFECT, *b"PUT DELETE POST PATCH CONNECT get".split()]


def attempt(
    method: bytes,
    target: bytes = b"/",
    *,
    body: bytes = b"",
    replayable: bool = True,
    sent: Sent = Sent.ALL,
    answered: bool = False,
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> Attempt:
    return Attempt(method, target, headers, body, replayable, sent, answered)


def is_repeated(table: Table, line: bytes, body: bytes = b"") -> bool:
    method, target = line.split()
    return judge(attempt(method, target, body=body), table) is RESEND


# The rule

TARGETS = [b"/", b"/rpc/console_input", b"/rpc/ping", b"/api/contents/a", b"/api/sessions"]
CASES = list(itertools.product(TABLES.values(), METHODS, TARGETS, (True, False)))


@pytest.mark.parametrize("sent", Sent)
def test_nothing_is_sent_again_after_a_byte_of_the_answer(sent: Sent) -> None:
    for table, method, target, replayable in CASES:
        lost = attempt(method, target, replayable=replayable, sent=sent, answered=True)
        assert judge(lost, table) is ERROR


def test_anything_is_sent_again_while_no_byte_reached_the_job() -> None:
    for table, method, target, replayable in CASES:
        assert judge(attempt(method, target, replayable=replayable, sent=Sent.NONE), table) is RESEND


@pytest.mark.parametrize("sent", [Sent.SOME, Sent.ALL])
def test_nothing_is_sent_again_without_its_body(sent: Sent) -> None:
    for table, method, target, _ in CASES:
        assert judge(attempt(method, target, replayable=False, sent=sent), table) is not RESEND


@pytest.mark.parametrize("sent", [Sent.SOME, Sent.ALL])
def test_http_knows_what_is_idempotent(sent: Sent) -> None:
    repeated = [method for method in METHODS if judge(attempt(method, sent=sent), GENERIC) is RESEND]
    assert repeated == [*NO_EFFECT, b"PUT", b"DELETE"]
    assert [method for method in METHODS if idempotent(method)] == repeated


@pytest.mark.parametrize("name", [b"Idempotency-Key", b"x-idempotency-key"])
def test_a_post_with_a_key_is_idempotent_unless_the_table_knows_better(name: bytes) -> None:
    keyed = ((name, b"1"),)
    assert judge(attempt(b"POST", headers=keyed), GENERIC) is RESEND
    assert judge(attempt(b"POST", headers=((b"X-Key", b"1"),)), GENERIC) is ERROR
    assert judge(attempt(b"POST", b"/api/kernels", headers=keyed), JUPYTER) is ERROR
    assert judge(attempt(b"POST", b"/rpc/execute_code", headers=keyed), RSTUDIO) is ERROR


@pytest.mark.parametrize("table", [JUPYTER, RSTUDIO])
def test_what_acts_on_whole_requests_may_get_a_cut_one_again(table: Table) -> None:
    for target in (b"/api/contents", b"/rpc/execute_code"):
        assert judge(attempt(b"POST", target, sent=Sent.SOME), table) is RESEND
        assert judge(attempt(b"POST", target, sent=Sent.SOME), COMMON) is ERROR
        assert judge(attempt(b"POST", target, sent=Sent.ALL), table) is ERROR


# JupyterLab

JUPYTER_HARMLESS = """
    GET /api/contents/a  PUT /api/contents/a  DELETE /api/contents/a  POST /api/sessions  POST /api/sessions?1763
    PATCH /api/sessions/1  POST /api/kernels/1/interrupt  POST /api/contents/a/b.ipynb/checkpoints
    PUT /lab/api/settings/x  GET /lab
"""
JUPYTER_HARMFUL = """
    POST /api/contents  POST /api/contents/  POST /api/contents/a  POST /api/contents/checkpoints
    PATCH /api/contents/a  POST /api/kernels  POST /api/kernels/1/restart  POST /api/terminals  POST /api/events
    POST /api/sessions/1  POST /login  POST /%61pi/contents
"""


def lines(text: str) -> list[bytes]:
    words = text.encode().split()
    return [b" ".join(pair) for pair in zip(words[::2], words[1::2], strict=True)]


@pytest.mark.parametrize("line", lines(JUPYTER_HARMLESS))
def test_jupyter_may_do_this_twice(line: bytes) -> None:
    assert is_repeated(JUPYTER, line, body=b"{}")


@pytest.mark.parametrize("line", lines(JUPYTER_HARMFUL))
def test_jupyter_may_not_do_this_twice(line: bytes) -> None:
    assert not is_repeated(JUPYTER, line, body=b"{}")


CHUNKS = [
    (b"{}", Chunk.NONE),
    (b' { "type" : "file" } ', Chunk.NONE),
    (b'{"type":"file","format":"text","content":"x"}', Chunk.NONE),
    (b'{"type":"notebook","content":{"cells":[', Chunk.NONE),  # only files come in chunks
    (b'{"path":"a","type":"directory"', Chunk.UNKNOWN),  # cut where the value might go on
    (b'{"path":"a","type":"directory",', Chunk.NONE),
    (b'{"chunk":null,"type":"file"}', Chunk.NONE),
    (b'{"type":"file","format":"base64","name":"a","chunk":1,"content":"AAAA', Chunk.FIRST),
    (b'{"type":"file","format":"base64","name":"a","chunk":2,"content":"AAAA', Chunk.LATER),
    (b'{"type":"file","format":"base64","name":"a","chunk":-1,"content":"AAAA', Chunk.LATER),
    (b'{"chunk":12}', Chunk.LATER),
    (b'{"chunk":1', Chunk.UNKNOWN),
    (b'{"chunk":1}', Chunk.FIRST),
    (b'{"chunk" : 1 ,', Chunk.FIRST),
    (b'{"chunk":"1"}', Chunk.LATER),
    (b'{"chunk":true}', Chunk.LATER),
    (b'{"chunk":1.0}', Chunk.LATER),
    (b'{"name":"\\"chunk\\":1","chunk":3}', Chunk.LATER),
    (b'{"content":{"chunk":1},"chunk":3}', Chunk.LATER),
    (b'{"content":{"chunk":2}}', Chunk.NONE),
    (b'{"type":"file","content":"AAAA', Chunk.UNKNOWN),
    (b'{"type":"file",', Chunk.UNKNOWN),
    (b"", Chunk.UNKNOWN),
    (b"{", Chunk.UNKNOWN),
    (b"[1]", Chunk.UNKNOWN),
    (b'{"a" 1}', Chunk.UNKNOWN),
    (b'{"a":1:', Chunk.UNKNOWN),
    (b"\xff", Chunk.UNKNOWN),
    (b'{"a":' + b"[" * 100_000, Chunk.UNKNOWN),
]


@pytest.mark.parametrize(("start", "chunk"), CHUNKS, ids=range(len(CHUNKS)))
def test_the_beginning_of_a_body_tells_which_part_of_an_upload_it_is(start: bytes, chunk: Chunk) -> None:
    assert jupyter_chunk(start) is chunk
    harmless = chunk in (Chunk.NONE, Chunk.FIRST)
    for table in (JUPYTER, COMMON):
        for base in (b"", b"/user/me"):
            assert is_repeated(table, b"PUT %b/api/contents/a/b.bin?17" % base, body=start) is harmless
    assert is_repeated(GENERIC, b"PUT /api/contents/a/b.bin", body=start)


values = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.lists(st.integers(), max_size=3)
models = st.dictionaries(st.sampled_from(["type", "format", "chunk", "content", "name"]), values, max_size=5)


@given(models, st.integers(0, 200))
def test_a_cut_body_never_says_what_the_whole_one_does_not(model: dict[str, object], cut: int) -> None:
    model = {"type": "file", **model} if model.get("type") is None else model
    whole = json.dumps(model).encode()
    assert jupyter_chunk(whole[:cut]) in (Chunk.UNKNOWN, jupyter_chunk(whole))
    assert jupyter_chunk(whole) is not Chunk.UNKNOWN


# RStudio

RSTUDIO_HARMLESS = """
    ping auth_status client_init get_cran_mirrors list_files list_all_files stat is_package_loaded search_code
    find_function_definition suggest_topics git_all_status git_full_status git_list_branches git_list_remotes
    git_history git_history_count git_show git_show_file git_diff_file git_has_repo git_get_ignores
    svn_status svn_diff_file svn_history svn_show check_for_external_edit
    log log_exception r_get_completions pandoc_ast_to_markdown
    set_client_state set_prefs set_user_prefs set_user_state save_document save_document_diff
    modify_document_properties set_doc_order process_set_size process_set_caption process_set_title
    process_notify_visible close_document
"""
RSTUDIO_HARMFUL = """
    console_input execute_code execute_r_code run_job process_write_stdin process_start start_terminal
    process_interrupt process_interrupt_child interrupt abort edit_completed askpass_completed user_prompt_completed
    locator_completed new_document create_project complete_upload copy_file move_files rename_file delete_files
    next_plot previous_plot remove_plot refresh_plot git_commit git_push git_pull git_checkout git_apply_patch
    svn_commit list_prepend_item list_append_item render_rmd start_build compile_pdf install_packages rsconnect_deploy
    rpubs_upload quit_session suspend_session something_new
"""


@pytest.mark.parametrize("table", [RSTUDIO, COMMON])
@pytest.mark.parametrize("name", RSTUDIO_HARMLESS.encode().split())
def test_rstudio_may_do_this_twice(table: Table, name: bytes) -> None:
    assert is_repeated(table, b"POST /rpc/" + name)


@pytest.mark.parametrize("table", [RSTUDIO, COMMON])
@pytest.mark.parametrize("name", RSTUDIO_HARMFUL.encode().split())
def test_rstudio_may_not_do_this_twice(table: Table, name: bytes) -> None:
    assert not is_repeated(table, b"POST /rpc/" + name)


def test_what_rstudio_has_besides_calls() -> None:
    for line in (b"POST /events/get_events", b"POST /log/log", b"GET /", b"GET /file_show"):
        assert is_repeated(RSTUDIO, line)
        assert is_repeated(COMMON, line)
    assert is_repeated(RSTUDIO, b"POST /upload")
    assert not is_repeated(COMMON, b"POST /upload")  # any application may have that
    assert not is_repeated(COMMON, b"POST /api/sessions")
    for line in (b"POST /auth-do-sign-in", b"POST /upload/x", b"POST /events/x", b"POST /p/1234abcd/rpc/ping"):
        assert not is_repeated(RSTUDIO, line)


def test_console_input_is_answered_in_the_sessions_place_once_it_has_all_of_it() -> None:
    answer = Answer(b"application/json", b'{"result":null,"ep":"true"}')
    target = b"/rpc/console_input"
    for table in (RSTUDIO, COMMON):
        for replayable in (True, False):
            assert judge(attempt(b"POST", target, replayable=replayable), table) == answer
    assert judge(attempt(b"POST", target, sent=Sent.SOME, replayable=False), RSTUDIO) is ERROR
    assert judge(attempt(b"POST", target, sent=Sent.SOME), COMMON) is ERROR
    assert judge(attempt(b"POST", target, sent=Sent.NONE), RSTUDIO) is RESEND
    assert judge(attempt(b"POST", b"/rpc/execute_code"), RSTUDIO) is ERROR


# Tables


@pytest.mark.parametrize("name", TABLES)
def test_a_table_survives_json(name: str) -> None:
    table = TABLES[name]
    assert table.name == name
    assert Table.from_json(json.loads(json.dumps(table.to_json()))) == table


@pytest.mark.parametrize(
    "doc",
    [
        {},
        {"name": "x", "rules": [{"method": "GET", "path": "/", "twice": "never"}]},
        {"name": "x", "rules": [{"method": "GET", "twice": "harmless"}]},
        {"name": "x", "rules": [], "more": 1},
    ],
)
def test_a_table_that_is_none_is_refused(doc: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Table.from_json(doc)


def test_the_first_rule_that_fits_decides_on_the_decoded_path() -> None:
    first = Rule("POST", "/a/*", Twice.HARMLESS)
    table = Table("x", (first, Rule("POST", "/*", Twice.HARMFUL), Rule("GET", "/A", Twice.HARMFUL)))
    assert table.rule(b"POST", b"/a/b/c?d") is first
    assert table.rule(b"POST", b"/%61/%C3%A9") is first
    assert table.rule(b"POST", b"/b?/a/") is table.rules[1]
    assert table.rule(b"GET", b"/a") is None
    assert table.rule(b"post", b"/a/") is None
    assert judge(attempt(b"GET", b"/A"), table) is ERROR


def test_a_body_is_kept_where_it_may_be_needed_again() -> None:
    assert worth_keeping(b"PUT", b"/file", COMMON)
    assert worth_keeping(b"PUT", b"/api/contents/a", COMMON)  # its body will tell
    assert not worth_keeping(b"POST", b"/api/sessions", COMMON)
    assert worth_keeping(b"POST", b"/rpc/execute_code", RSTUDIO)  # until it is whole
    assert not worth_keeping(b"POST", b"/rpc/execute_code", COMMON)


def test_without_a_table_by_what_is_known_of_all() -> None:
    assert judge(attempt(b"GET", b"/"), COMMON) is RESEND
    assert judge(attempt(b"GET", b"/", replayable=False), COMMON) is ERROR
    assert judge(attempt(b"PUT", b"/api/contents/a", body=b'{"chunk":2}'), COMMON) is ERROR
    assert judge(attempt(b"PUT", b"/api/contents/a", body=b'{"chunk":2}'), GENERIC) is RESEND
    assert judge(attempt(b"POST", b"/events/get_events"), COMMON) is RESEND
    assert judge(attempt(b"POST", b"/rpc/execute_code"), COMMON) is ERROR


def test_what_is_known_of_all_jobs_says_the_same_as_the_templates() -> None:
    """Two homes, since a gateway serves jobs without a template too: they may not differ."""
    of_templates = {(rule.method, rule.path): rule for table in (JUPYTER, RSTUDIO) for rule in table.rules}
    assert COMMON.rules
    for rule in COMMON.rules:
        assert of_templates[rule.method, rule.path] == rule


def test_a_long_poll_is_what_the_table_says() -> None:
    for table in (RSTUDIO, COMMON):
        assert only_reads(b"POST", b"/events/get_events?x=1", table)
        assert not only_reads(b"POST", b"/rpc/ping", table) and not only_reads(b"PUT", b"/events/get_events", table)
    assert only_reads(b"GET", b"/anything", GENERIC) and not only_reads(b"POST", b"/events/get_events", GENERIC)
