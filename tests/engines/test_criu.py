"""What a user is told of CRIU's log."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.engines.local import criu

CASES = [
    (
        "(00.01)   1234: Error (criu/files-reg.c:2104): Can't open file work/a.txt on restore: No such file\n"
        "(00.02) Error (criu/cr-restore.c:2557): Restoring FAILED.\n",
        "a file that the job has open was changed or deleted; put it back and try again "
        "(CRIU: Can't open file work/a.txt on restore: No such file)",
    ),
    (
        "(00.01) Warn  (criu/kerndat.c:1): Can't seize nothing\n(00.01) Error (criu/mem.c:1): Odd thing.\n",
        "a process of the job could not be stopped (CRIU: Can't seize nothing)",
    ),
    (
        "(00.01) No space left on device is only said here\n(00.02) Error (criu/a.c:1): First cause.\n"
        "(00.03) Error (criu/b.c:1): What follows.\n",
        "CRIU says: First cause",
    ),
    (
        "(00.1) Error (criu/x.c:1): Can't write: No space left on device\n",
        "the disk is full; free some space and try again (CRIU: Can't write: No space left on device)",
    ),
    (
        "(00.1) Error (criu/a.c:1): rlimit\nError (keeper): Input/output error\n(00.2) Error (criu/a.c:1): Script 1\n",
        "the disk could not be read or written (CRIU: Input/output error)",
    ),
    ("(00.1) io_uring is mentioned, but not as an error\n", "CRIU ended without a reason"),
    (f"(00.01) Error (criu/a.c:1): {'x' * 5000}\n", f"CRIU says: {'x' * 200}"),
    ("(00.01) nothing wrong\n", "CRIU ended without a reason"),
]


@pytest.mark.parametrize(("text", "says"), CASES)
def test_its_reason(tmp_path: Path, text: str, says: str) -> None:
    log = tmp_path / "restore.log"
    log.write_text(text)
    assert criu.reason(log) == says


def test_no_log_at_all(tmp_path: Path) -> None:
    assert criu.reason(tmp_path / "nothing") == "CRIU ended without a reason"
