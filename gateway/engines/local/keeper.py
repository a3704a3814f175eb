"""The process outside of a job's tree that outlives the OpCenter: it starts, restores or dumps, and waits.

Run by path with `python -I -S keeper.py VERB SPEC`, standard library only: it starts in 20 ms and depends on
nothing of ours. The outer process forks the keeper proper, waits until it says that the work is under way (or
done, for a dump) and exits with 0 or 1. So no job is a child of the OpCenter, which can be killed at any moment:

    OpCenter ── outer (ends) ── keeper ── PID 1 of the capsule (tini) ── program      rc.json is written at the end

The keeper holds the flock of the run's `lock` file, which the OpCenter took and handed down: whoever can take
that lock knows for certain that nobody works here any more. Nothing of the keeper's belongs to the dumped tree.

Laws, for a disk that is full at any moment. Nothing is left running that is not written down: what cannot be is
ended. Nothing is killed that is not saved: an image is flushed and marked complete while the tree still stands.
"""

from __future__ import annotations

import ctypes
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

Report = Callable[[bool], None]

CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x20000000, 0x40000000  # linux/sched.h
MS_BIND, MS_REC, MS_SLAVE = 0x1000, 0x4000, 0x80000  # linux/mount.h
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_TINI_SIGNAL = 128  # tini's exit status for a program that a signal ended, plus the signal
_ROOM = 256  # bytes: more than pid.json or rc.json has
_RETRY = 1.0  # seconds until the end of a job is written down again: a keeper has nothing else to do

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> int:
    """Fork the keeper, wait for its word."""
    verb, spec = sys.argv[1], json.loads(Path(sys.argv[2]).read_text())
    if verb == "seal":
        return seal(spec)
    os.set_inheritable(spec["lock_fd"], False)
    reading, writing = os.pipe()
    if os.fork() > 0:
        os.close(writing)
        return 0 if os.read(reading, 1) == b"1" else 1
    os.close(reading)
    os.setsid()
    _call(_libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))  # orphans of the job come here, not to init
    write(Path(spec["run"]) / spec["who"], identity(os.getpid()))
    _VERBS[verb](spec, lambda good: _report(writing, good))
    return 0


def start(spec: dict[str, Any], report: Report) -> None:
    """Run the program; in a capsule as a child of tini in its own PID namespace. Returns when it has ended."""

    def begin() -> int:
        if spec["netns"]:
            _call(_libc.unshare(CLONE_NEWPID))
        return _spawn(lambda: _become_program(spec))

    _run_to_end(spec, begin, report)


def restore(spec: dict[str, Any], report: Report) -> None:
    """Bring an image to life. Its PID 1 becomes our child, since criu ends and we are the next subreaper."""

    def begin() -> int:
        if (status := _wait(_spawn(lambda: _become_criu(spec)))) != 0:
            sys.exit(f"keeper: criu restore ended with {status}")
        return int(Path(spec["pidfile"]).read_text())

    _run_to_end(spec, begin, report)


def dump(spec: dict[str, Any], report: Report) -> None:
    """Save a tree to an image, even if the OpCenter is gone. The tree is dead when this succeeds.

    CRIU calls `seal` while the tree is stopped. When that fails CRIU itself lets the tree go on, with its
    connections, as after any other failure.
    """
    seal_ = shlex.join([sys.executable, "-I", "-S", __file__, "seal", sys.argv[2]])
    spec["criu"] += ["--action-script", _script(f'[ "$CRTOOLS_SCRIPT_ACTION" != post-dump ] || exec {seal_}')]
    report(_wait(_spawn(lambda: _become_criu(spec))) == 0)


def seal(spec: dict[str, Any]) -> int:
    """Flush an image to the disk and mark it complete: an exit status. What went wrong goes to CRIU's log."""
    image = Path(spec["image"])
    try:
        for path in image.iterdir():
            _sync(path)
        write(image / spec["marker"], spec["mark"])
    except OSError as error:
        print(f"Error (keeper): {error.strerror}", file=sys.stderr, flush=True)
        return 1
    return 0


_VERBS: dict[str, Callable[[dict[str, Any], Report], None]] = {"start": start, "restore": restore, "dump": dump}


def identity(pid: int) -> dict[str, Any]:
    """What a process is known by: a PID alone may be another's tomorrow. OSError when there is none."""
    stat = Path(f"/proc/{pid}/stat").read_text()
    started = int(stat.rpartition(")")[2].split()[19])  # proc(5): field 22, clock ticks since boot
    return {"pid": pid, "start": started, "boot": Path("/proc/sys/kernel/random/boot_id").read_text().strip()}


def write(path: Path, value: object) -> None:
    """Write JSON so that a reader finds all of it or nothing, after a crash too. OSError when it cannot."""
    fresh = path.with_name(path.name + ".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT, 0o644), "w") as file:  # not emptied: see `reserve`
        file.write(json.dumps(value))
        file.truncate()
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    _sync(path.parent)


def reserve(path: Path) -> None:
    """Take the room on the disk that a later `write` of at most _ROOM bytes needs. OSError when there is none."""
    write(path.with_name(path.name + ".new"), " " * _ROOM)


def _run_to_end(spec: dict[str, Any], begin: Callable[[], int], report: Report) -> None:
    """Begin, write down who it is, wait for its end and write that down. What cannot be written down is ended."""
    run, begun = Path(spec["run"]), False
    try:
        for name in ("pid.json", "rc.json"):
            reserve(run / name)
        pid = begin()
        write(run / "pid.json", identity(pid))
        begun = True
    finally:
        if not begun:
            _end_all()
        report(begun)
    end = {"rc": _rc(_wait(pid), bool(spec["init"]))}
    told = _told(run / "rc.json", end)
    _end_all()
    while not told:
        time.sleep(_RETRY)
        told = _told(run / "rc.json", end)


def _told(path: Path, end: object) -> bool:
    """Whether the end is written down, or nobody asks for it any more: the run's folder is gone."""
    try:
        write(path, end)
    except FileNotFoundError:
        return True
    except OSError as error:
        print(f"keeper: {path.name}: {error}", file=sys.stderr, flush=True)
        return False
    return True


def _rc(status: int | None, under_tini: bool) -> int | None:
    """An exit status, negative for a signal. A shell's `128 + n` is what tini makes of a signal."""
    if status is None:
        return None
    if under_tini and _TINI_SIGNAL < status <= _TINI_SIGNAL + signal.NSIG:
        return _TINI_SIGNAL - status
    return status


def _spawn(become: Callable[[], None]) -> int:
    """Fork; the child calls `become`, which does not return. OSError there ends the child with 127."""
    pid = os.fork()
    if pid > 0:
        return pid
    try:
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, a program of the user's must not
            signal.signal(number, signal.SIG_DFL)
        become()
    except OSError as error:
        print(f"keeper: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(127)


def _become_program(spec: dict[str, Any]) -> NoReturn:
    os.setsid()  # inside of the PID namespace, else CRIU finds a session leader that is outside of it
    if spec["netns"]:
        _enter(os.open(spec["netns"], os.O_RDONLY | os.O_CLOEXEC))
        _own_terminals()
    os.chdir(spec["cwd"])
    _redirect(0, "/dev/null", os.O_RDONLY)
    _redirect(1, spec["stdout"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    _redirect(2, spec["stderr"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    argv = [*spec["init"], *spec["argv"]]
    os.execvpe(argv[0], argv, spec["env"])


def _become_criu(spec: dict[str, Any]) -> NoReturn:
    if spec["netns"]:
        namespace = os.open(spec["netns"], os.O_RDONLY | os.O_CLOEXEC)
        _enter(namespace)
        os.dup2(namespace, spec["netns_fd"], inheritable=True)
        _own_terminals()
    elif spec.get("mntns"):  # CRIU sees the job's mounts as its own then, and does not dump them
        _call(_libc.setns(os.open(spec["mntns"], os.O_RDONLY | os.O_CLOEXEC), CLONE_NEWNS))
    os.execv(spec["criu"][0], spec["criu"])


def _own_terminals() -> None:
    """A mount namespace with pseudo-terminals of its own: their numbers are free wherever the job is restored.

    Everything else is mounted as on the host, and what the host unmounts later goes here too (MS_SLAVE).
    """
    _call(_libc.unshare(CLONE_NEWNS))
    _mount(b"none", b"/", None, MS_REC | MS_SLAVE, None)
    _mount(b"devpts", b"/dev/pts", b"devpts", 0, b"newinstance,ptmxmode=0666,mode=0620")
    if not Path("/dev/ptmx").is_symlink():
        _mount(b"/dev/pts/ptmx", b"/dev/ptmx", None, MS_BIND, None)


def _mount(source: bytes, target: bytes, kind: bytes | None, flags: int, data: bytes | None) -> None:
    _call(_libc.mount(source, target, kind, ctypes.c_ulong(flags), data))


def _enter(namespace: int) -> None:
    _call(_libc.setns(namespace, CLONE_NEWNET))


def _script(text: str) -> str:
    """A shell script in memory, as a path that lasts as long as this process: folders may be mounted noexec."""
    number = os.memfd_create("keeper")
    os.write(number, f"#!/bin/sh\n{text}\n".encode())
    return f"/proc/{os.getpid()}/fd/{number}"


def _redirect(number: int, path: str, flags: int) -> None:
    opened = os.open(path, flags, 0o644)
    os.dup2(opened, number, inheritable=True)
    os.close(opened)


def _wait(pid: int) -> int | None:
    """Reap everything until `pid` has ended: its exit status, negative for a signal; None if it is no child."""
    while True:
        try:
            ended, status = os.waitpid(-1, 0)
        except ChildProcessError:
            return None
        if ended == pid:
            return os.waitstatus_to_exitcode(status)


def _end_all() -> None:
    """Kill what is left of the job: children of ours, and theirs as they come to us."""
    while True:
        mine = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        if not mine:
            return
        for pid in mine:
            os.kill(int(pid), signal.SIGKILL)
        os.waitpid(-1, 0)


def _report(writing: int, good: bool) -> None:
    try:
        os.write(writing, b"1" if good else b"0")
    except BrokenPipeError:
        return  # the outer process was killed with the OpCenter: the work goes on all the same
    finally:
        os.close(writing)


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _call(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    sys.exit(main())
