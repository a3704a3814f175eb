"""`float template create`, `update` and `delete` with files of each kind."""

from __future__ import annotations

import json
from pathlib import Path

from .conftest import Shell

TOML = """
name = "own"
[program]
command = ["server"]
[[jobParams]]
publish = ["5000"]
"""
YAML = "replay:\n    rules:\n        - {method: POST, path: /run, twice: harmless}\n"


async def test_a_template_of_ones_own(user: Shell, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(TOML)
    (tmp_path / "table.yaml").write_text(YAML)
    (tmp_path / "table.json").write_text(json.dumps({"replay": {"rules": []}, "tag": "7"}))
    assert await user.out(f"float template create -f {tmp_path}/own.toml") == "Template own is created\n"
    assert "own" in await user.out("float template list")
    await user.out(f"float template update -T own -f {tmp_path}/table.yaml")
    shown = json.loads(await user.out("float template show -T own -F json"))
    assert shown["replay"]["rules"] == [{"method": "POST", "path": "/run", "twice": "harmless"}]
    await user.out(f"float template update -T own -f {tmp_path}/table.json")
    shown = json.loads(await user.out("float template show -T own -F json"))
    assert (shown["replay"], shown["tag"]) == ({"rules": []}, "7")
    assert await user.out("float template delete -T own -f") == "Template own is deleted\n"
    assert "own" not in (await user.out("float template list")).split()
