"""Which CRIU, and how it is called (docs/decisions/which-criu.md).

A CRIU that is too old for the kernel fails in odd ways at the first dump, so none is used that has not passed
`criu check` on this machine.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_LINE = re.compile(r"(Error|Warn) +\([^)\n]*\): *(.*)")  # (00.012345)  4321: Error (criu/files.c:12): what it is
_FULL = 1 << 20  # bytes: a disk with less is taken for full
_WORDS = 200  # characters of one line of its log that a user is told

CHECK_SECONDS = 30.0  # `criu check` takes 0.05 s here; a kernel that makes it hang has no working CRIU

# Both ways need the same: inner TCP connections go along, files may be locked, unlinked or sockets of others.
_BOTH = (
    "--no-default-config",  # /etc/criu/default.conf could say anything
    "-v4",
    "--tcp-established",
    "--file-locks",
    "--ext-unix-sk",
    "--link-remap",
    "--network-lock", "skip",  # else DROP rules stay in the old namespace
    "--manage-cgroups=ignore",  # a job stays movable when the OpCenter was restarted in another cgroup
)  # fmt: skip

# What a user can do something about, from dump.log or restore.log. The first that matches is told.
_REASONS = (
    (r"No space left on device|Disk quota exceeded", "the disk is full; free some space and try again"),
    (r"Input/output error", "the disk could not be read or written"),
    (r"has bad size|has bad mode|Can't open file .*: No such file|Can't open .* on restore",
     "a file that the job has open was changed or deleted; put it back and try again"),
    (r"Can't dump file .*/dev/nvidia|/dev/kfd|/dev/dri", "the job holds a GPU, which cannot be saved"),
    (r"Can't lookup mount|Can't dump.*\[/dev/|Unsupported device|dump chr|Can't dump file .* of that type",
     "the job holds a device or file that cannot be saved"),
    (r"io_uring", "the job uses io_uring, which cannot be saved; switch it off in the program"),
    (r"Can't dump half of stream unix|External socket is used", "the job is connected to a process outside of it"),
    (r"Can't bind inet socket", "a port or address that the job had cannot be had again"),
    (r"is outside of its pid namespace|Can't seize|ptrace", "a process of the job could not be stopped"),
    (r"Can't fork for .*: File exists|Pid .* do not match expected", "a process number that the job had is taken"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Criu:
    """A CRIU that passed its own check here."""

    path: Path
    version: str

    def dump(self, pid: int, image: Path, netns: Path) -> list[str]:
        """The command that saves the tree of `pid` to `image`. It kills the tree only when it succeeds.

        Its `post-dump` script runs in between: when that fails CRIU lets the tree go on, connections and all.
        Raises OSError when the capsule's network has been taken away.
        """
        inode = netns.stat().st_ino
        return [str(self.path), "dump", "-t", str(pid), "-D", str(image), "-o", "dump.log", *_BOTH,
                "--external", f"net[{inode}]:capsule"]  # fmt: skip

    def restore(self, image: Path, work: Path, pidfile: Path, netns_fd: int) -> list[str]:
        """The command that brings `image` to life, to be run inside the new namespace. Logs go to `work`."""
        return [str(self.path), "restore", "-D", str(image), "-W", str(work), "-o", "restore.log", "-d",
                "--pidfile", str(pidfile), *_BOTH, "--inherit-fd", f"fd[{netns_fd}]:capsule"]  # fmt: skip


def default_prefix(environ: Mapping[str, str] = os.environ) -> Path:
    """Where a CRIU of our own lies: `$FLOATGATE_CRIU`, else `~/.floatgate/criu`."""
    named = environ.get("FLOATGATE_CRIU")
    return Path(named) if named else Path.home() / ".floatgate" / "criu"


def own(prefix: Path) -> Path:
    """The path of the program that `provision` leaves under a prefix."""
    return prefix / "criu"


def find(prefix: Path | None = None) -> Criu | None:
    """A working CRIU: the one on PATH, else the one under the prefix; None when neither passes its check."""
    candidates = [shutil.which("criu"), str(own(prefix or default_prefix()))]
    found = (check(Path(one)) for one in candidates if one)
    return next((one for one in found if one is not None), None)


def check(path: Path) -> Criu | None:
    """This CRIU, when it passes its own check on this kernel; else None."""
    if not os.access(path, os.X_OK):
        return None
    try:
        looked = _ask(path, "check")
        version = _ask(path, "--version")
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"Version:\s*(\S+)", version.stdout)
    return Criu(path, match[1] if match else "?") if looked.returncode == 0 else None


def reason(log: Path) -> str:
    """Why CRIU failed, as half a sentence for a user, with CRIU's own words: from its log, which is for engineers."""
    text = log.read_text(errors="replace") if log.exists() else ""
    if log.exists() and shutil.disk_usage(log).free < _FULL:
        return _REASONS[0][1]  # and the log may have had no room to say so
    lines = [(kind, words[:_WORDS].strip(" .")) for kind, words in _LINE.findall(text)]
    for pattern, meaning in _REASONS:
        if said := next((words for _, words in lines if re.search(pattern, words)), None):
            return f"{meaning} (CRIU: {said})"
    first = next((words for kind, words in lines if kind == "Error"), None)  # those after it follow from it
    return f"CRIU says: {first}" if first else "CRIU ended without a reason"


def _ask(path: Path, word: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([path, word], capture_output=True, text=True, timeout=CHECK_SECONDS, check=False,
                          stdin=subprocess.DEVNULL)  # fmt: skip
