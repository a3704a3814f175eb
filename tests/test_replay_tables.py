"""Tables as administrators write them: what is taken, and how each mistake is named."""

from __future__ import annotations

import json

import pytest

from gateway.replay import MAX_RULES, Rule, Table, Twice, key_of, read

RULE = {"method": "POST", "path": "/run", "twice": "harmful"}


def test_paths_become_rules_in_their_order() -> None:
    doc = {
        "actsWhenWhole": "true",
        "rules": [
            {"method": "POST", "paths": ["/a", "/b/*"], "twice": "harmless"},
            {**RULE, "answer": '{"queued": true}'},
            {"method": "GET", "path": "*/wait", "twice": "poll"},
        ],
    }
    table = read(doc, "mine")
    assert table == Table(
        "mine",
        (
            Rule("POST", "/a", Twice.HARMLESS),
            Rule("POST", "/b/*", Twice.HARMLESS),
            Rule("POST", "/run", Twice.HARMFUL, '{"queued": true}'),
            Rule("GET", "*/wait", Twice.POLL),
        ),
        acts_when_whole=True,
    )
    again = json.loads(json.dumps(table.to_json()))
    assert Table.from_json(again) == table and key_of(again) == key_of(table.to_json())
    assert read({}, "mine") == Table("mine") and read({"actsWhenWhole": False}, "mine") == Table("mine")


@pytest.mark.parametrize(
    ("doc", "sentence"),
    [
        ([], "replay: an object"),
        ({"rule": []}, "replay: rule is not known; there are actsWhenWhole, rules"),
        ({"actsWhenWhole": "yes"}, "replay.actsWhenWhole: 'yes' is neither true nor false"),
        ({"rules": "all"}, "replay.rules: a list"),
        ({"rules": ["x"]}, "replay.rules[1]: an object"),
        ({"rules": [RULE, {**RULE, "verb": 1}]}, "replay.rules[2]: verb is not known"),
        ({"rules": [{**RULE, "method": "post"}]}, "replay.rules[1].method: 'post' is not a method such as POST"),
        ({"rules": [{**RULE, "method": None}]}, "replay.rules[1].method: None is not a method"),
        ({"rules": [{**RULE, "twice": "maybe"}]}, "replay.rules[1].twice: 'maybe' is none of harmless, harmful, poll"),
        ({"rules": [{**RULE, "twice": ["poll"]}]}, "replay.rules[1].twice"),
        ({"rules": [{**RULE, "paths": ["/x"]}]}, "replay.rules[1]: give it a path, or a list of paths"),
        ({"rules": [{"method": "POST", "twice": "poll"}]}, "replay.rules[1]: give it a path"),
        ({"rules": [{"method": "POST", "twice": "poll", "paths": []}]}, "replay.rules[1].paths: a list of paths"),
        ({"rules": [{"method": "POST", "twice": "poll", "paths": "/x"}]}, "replay.rules[1].paths: a list of paths"),
        ({"rules": [{**RULE, "path": "run"}]}, "replay.rules[1]: the path 'run' is none"),
        ({"rules": [{**RULE, "path": "/run?x=1"}]}, "replay.rules[1]: the path '/run?x=1' is none"),
        ({"rules": [{**RULE, "path": "/[ab]"}]}, "replay.rules[1]: the path '/[ab]' is none"),
        ({"rules": [{**RULE, "path": "/" + "x" * 200}]}, "replay.rules[1]: the path"),
        ({"rules": [{**RULE, "answer": "{"}]}, "replay.rules[1].answer: '{' is not JSON"),
        ({"rules": [{**RULE, "answer": 5}]}, "replay.rules[1].answer: JSON as a text"),
        ({"rules": [{**RULE, "twice": "harmless", "answer": "{}"}]}, "replay.rules[1].answer: only a rule that says"),
        ({"rules": [RULE] * (MAX_RULES + 1)}, "replay: at most 500 rules"),
        ({"rules": [{**RULE, "path": "/" + "x" * 150}] * 200}, "replay: at most 500 rules and 32 KiB"),
    ],
)
def test_a_mistake_is_named_with_its_place(doc: object, sentence: str) -> None:
    with pytest.raises(ValueError) as error:
        read(doc, "mine")
    assert sentence in str(error.value)
