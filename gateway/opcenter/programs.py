"""A job's folders, and the program that the engine is asked to run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from gateway.engines.base import Program
from gateway.types import JobId

from .model import Job
from .templates import fill, fill_all

LOGS = ("stdout.autosave", "stderr.autosave")
NOTES = "move.log"  # the engine's, of the last move that failed; there is none before
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ")  # of our own environment; the rest is not the job's business
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Folders:
    """Where a job keeps what: `home/jobs/<id>/{work,home,images,stdout.autosave,stderr.autosave}`."""

    def __init__(self, home: Path) -> None:
        self._jobs = home / "jobs"

    def job(self, job: JobId) -> Path:
        """The job's own folder."""
        return self._jobs / job

    def log(self, job: JobId, name: str) -> Path:
        """One of `logs`."""
        return self.job(job) / name

    def logs(self, job: JobId) -> list[str]:
        """The names of the logs that there are."""
        return [*LOGS, *([NOTES] if self.log(job, NOTES).exists() else [])]

    def images(self, job: JobId) -> Path:
        """All images of the job."""
        return self.job(job) / "images"

    def image(self, job: JobId, name: str) -> Path:
        """One image; the engine makes it."""
        return self.images(job) / name

    def make(self, job: Job) -> None:
        """Make the folders and the files that the order asks for. Idempotent. Raises OSError."""
        base = self.job(job.id)
        for folder in (base, base / "work", base / "home", base / "images"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in LOGS:
            (base / name).touch(0o600)
        for name, text in job.order.files.items():
            path = base / name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_text(fill(text, self.values(job)))

    def values(self, job: Job) -> dict[str, str]:
        """What stands for `{token}` and the folders in a template."""
        base = self.job(job.id)
        return {
            "token": job.token,
            "job": str(base),
            "work": str(self.work(job)),
            "home": str(base / "home"),
        }

    def work(self, job: Job) -> Path:
        """The program's working directory."""
        return Path(job.order.workdir) if job.order.workdir else self.job(job.id) / "work"

    def program(self, job: Job, opcenter: str, environ: Mapping[str, str] = os.environ) -> Program:
        """What to run. `opcenter`: host and port at which the job can call us."""
        size, base, templated = job.next_size or job.size, self.job(job.id), bool(job.order.template)
        values = self.values(job) if templated else {}
        own = dict(fill(one, values).split("=", 1) for one in job.order.env)
        return Program(
            argv=fill_all(job.order.command, values),
            env={**self._environment(job, opcenter, environ), **own},
            cwd=self.work(job),
            stdout=base / LOGS[0],
            stderr=base / LOGS[1],
            ports=tuple(dict.fromkeys(job.order.ports.values())),
            cpu=size.cpu,
            mem=size.mem,
            notes=base / NOTES,
        )

    def _environment(self, job: Job, opcenter: str, environ: Mapping[str, str]) -> dict[str, str]:
        base = self.job(job.id)
        return {
            "PATH": _PATH,
            "LANG": "C.UTF-8",
            **{name: environ[name] for name in _PASSED_ON if name in environ},
            "HOME": str(base / "home"),
            "SHELL": "/bin/bash",
            "FLOAT_JOB_ID": job.id,
            "FLOAT_JOB_PATH": str(base),
            "FLOAT_LOG_PATH": str(base),
            "FLOAT_USER": job.order.owner,
            "FLOAT_USER_ID": str(job.order.owner_id),
            "FLOAT_ADDR": opcenter,
        }
