"""A child process that is watched by its pidfd, also one that an earlier program of this very process has started.

asyncio's own subprocesses end with the loop that started them; a worker has to outlive its parent's execve(2).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys


class Child:
    """A running child of ours."""

    def __init__(self, pid: int) -> None:
        """Raises ProcessLookupError if there is no such process."""
        self.pid = pid
        self.code: int | None = None
        """Exit code, negative for a signal; None while it runs."""
        self._fd = os.pidfd_open(pid)
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._reap)

    async def wait(self) -> int:
        """Its exit code, when it has ended."""
        await self._ended.wait()
        assert self.code is not None
        return self.code

    def kill(self) -> None:
        """SIGKILL, unless it has ended."""
        if self.code is None:
            signal.pidfd_send_signal(self._fd, signal.SIGKILL)

    def _reap(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        _, status = os.waitpid(self.pid, 0)  # a pidfd is readable when this does not wait
        self.code = os.waitstatus_to_exitcode(status)
        self._ended.set()


_FIRST = 3  # the descriptor under which a child finds what it is given


def start(module: str, fd: int) -> Child:
    """`python -m module 3`, where descriptor 3 is this one and nothing else is inherited but stdout and stderr."""
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, fd, _FIRST),  # the copy is not closed by exec; all others are (PEP 446)
    ]
    argv = [sys.executable, "-m", module, str(_FIRST)]
    default = [signal.SIGPIPE, signal.SIGXFSZ]  # Python ignores them; its children should begin as any program does
    return Child(os.posix_spawn(sys.executable, argv, os.environ, file_actions=actions, setsigdef=default))
