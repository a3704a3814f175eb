"""A newer Debian's packages in a private folder, without touching the system's own (docs/decisions/which-criu.md).

apt is pointed at a private sources file, made from the machine's own one with another suite, and at private lists,
cache and status. So the same mirror and the same keys are used, and nothing of the system's is changed or upgraded.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ETC_APT = Path("/etc/apt")
OS_RELEASE = Path("/etc/os-release")
KEYRING = Path("usr/share/keyrings/debian-archive-keyring.gpg")  # inside the package debian-archive-keyring

# The suite that has a CRIU for new kernels, and its components, by the ID in os-release.
SUITES = {"debian": ("unstable", "main"), "ubuntu": ("devel", "main universe")}
_KEPT = ("Signed-By", "Trusted", "Check-Valid-Until", "Architectures")


class AptFailed(Exception):
    """apt could not do it. The text is one sentence for a person at a terminal."""


@dataclass(frozen=True, slots=True)
class Box:
    """A private apt: its options, and the root into which packages are unpacked."""

    folder: Path
    root: Path
    say: Callable[[str], None]

    def options(self) -> list[str]:
        """What keeps apt away from the system's state."""
        values = {
            "Dir::Etc::sourcelist": self.folder / "own.sources",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "Dir::State": self.folder / "state",
            "Dir::State::Lists": self.folder / "lists",
            "Dir::State::Status": "/dev/null",
            "Dir::Cache": self.folder / "cache",
            "Acquire::Languages": "none",
            "APT::Sandbox::User": "root",  # else apt warns that _apt cannot write into a folder of root's
        }
        return [part for key, value in values.items() for part in ("-o", f"{key}={value}")]

    def update(self, sources: str) -> None:
        """Fetch the package lists. Raises AptFailed; `NoKey` when a key is missing."""
        for name in ("state", "lists/partial", "cache/archives/partial"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "own.sources").write_text(sources)
        done = _run(["apt-get", *self.options(), "update"], self.folder)
        text = done.stdout + done.stderr
        if "NO_PUBKEY" in text:
            raise NoKey("This machine's keyring lacks the key of the newer suite.")
        if done.returncode != 0 or "\nE:" in text or "\nErr:" in text:
            raise AptFailed(f"apt could not read the newer suite: {_last(text)}")

    def fetch(self, packages: Iterable[str]) -> None:
        """Download the packages with everything that they depend on and unpack them under `root`."""
        names = self._closure(packages)
        self.say(f"downloading {len(names)} packages")
        debs = self.folder / "debs"
        debs.mkdir(exist_ok=True)
        done = _run(["apt-get", *self.options(), "download", *names], debs)
        if done.returncode != 0:
            raise AptFailed(f"apt could not download the packages: {_last(done.stderr)}")
        for deb in sorted(debs.glob("*.deb")):
            unpack(deb, self.root)

    def _closure(self, packages: Iterable[str]) -> list[str]:
        kinds = ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")
        flags = [f"--no-{kind}" for kind in kinds]
        done = _run(["apt-cache", *self.options(), "depends", "--recurse", *flags, *packages], self.folder)
        if done.returncode != 0:
            raise AptFailed(f"The newer suite does not have {' '.join(packages)}.")
        names = {line.strip() for line in done.stdout.splitlines() if line[:1].isalnum()}
        return sorted(names)


class NoKey(AptFailed):
    """The suite's signature cannot be checked with the keys of this machine."""


def unpack(deb: Path, root: Path) -> None:
    """`dpkg -x`. Raises AptFailed."""
    root.mkdir(parents=True, exist_ok=True)
    done = _run(["dpkg", "-x", str(deb), str(root)], root)
    if done.returncode != 0:
        raise AptFailed(f"{deb.name} could not be unpacked: {_last(done.stderr)}")


def newer_keyring(folder: Path) -> Path:
    """The keyring of this machine's own suite, as new as its mirror has it; checked by its own keys.

    A Debian that was not updated for long lacks the keys of suites that were born later. Raises AptFailed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _run(["apt-get", "update"], folder)
    done = _run(["apt-get", "-o", "APT::Sandbox::User=root", "download", "debian-archive-keyring"], folder)
    debs = sorted(folder.glob("debian-archive-keyring_*.deb"))
    if done.returncode != 0 or not debs:
        raise AptFailed(f"No newer keyring could be had: {_last(done.stderr)}")
    unpack(debs[-1], folder / "root")
    return folder / "root" / KEYRING


def os_release(path: Path = OS_RELEASE) -> dict[str, str]:
    """The fields of os-release; empty where there is none."""
    if not path.exists():
        return {}
    pairs = (line.partition("=") for line in path.read_text().splitlines() if "=" in line)
    return {key: value.strip("\"'") for key, _, value in pairs}


def newer_sources(release: Mapping[str, str], etc: Path = ETC_APT, signed_by: Path | None = None) -> str:
    """A deb822 sources file: the machine's own mirrors and keys with the suite that has a newer CRIU.

    Raises AptFailed when there is no suite for this system, or when no source of its own can be found.
    """
    system = release.get("ID", "")
    if system not in SUITES:
        raise AptFailed(f"There is no suite to take a newer CRIU from for {system or 'this system'}.")
    suite, components = SUITES[system]
    for stanza in _own_stanzas(etc):
        if _is_main_archive(stanza, release):
            kept = {key: stanza[key] for key in _KEPT if key in stanza}
            if signed_by is not None:
                kept["Signed-By"] = str(signed_by)
            fields = {"Types": "deb", "URIs": stanza["URIs"], "Suites": suite, "Components": components}
            return "".join(f"{key}: {value}\n" for key, value in (fields | kept).items())
    raise AptFailed("None of this machine's apt sources is its distribution's own main archive.")


def _is_main_archive(stanza: Mapping[str, str], release: Mapping[str, str]) -> bool:
    suites = stanza.get("Suites", "").split()
    code = release.get("VERSION_CODENAME", "")
    known = {code, "stable", "oldstable", "testing", "unstable", "sid"} - {""}
    return (
        stanza.get("Enabled", "yes").lower() not in ("no", "false")
        and "deb" in stanza.get("Types", "").split()
        and "main" in stanza.get("Components", "").split()
        and "security" not in stanza.get("URIs", "")
        and not known.isdisjoint(suites)
    )


def _own_stanzas(etc: Path) -> Iterator[dict[str, str]]:
    lists = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*.list"))]
    for path in sorted((etc / "sources.list.d").glob("*.sources")):
        yield from deb822(path.read_text())
    for path in lists:
        if path.exists():
            for line in path.read_text().splitlines():
                yield from one_line(line)


def deb822(text: str) -> Iterator[dict[str, str]]:
    """The stanzas of a *.sources file. A value of several lines (an inline key) keeps its lines."""
    stanza: dict[str, str] = {}
    key = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if stanza:
                yield stanza
            stanza = {}
        elif line[0] in " \t":
            stanza[key] += "\n" + line
        else:
            key, _, value = line.partition(":")
            stanza[key] = value.strip()


def one_line(line: str) -> Iterator[dict[str, str]]:
    """The old format: `deb [signed-by=/a/key trusted=yes] http://mirror/debian bookworm main contrib`."""
    words = line.partition("#")[0].split()
    if not words or words[0] != "deb":
        return
    options: list[str] = []
    rest = " ".join(words[1:])
    if rest.startswith("["):
        inside, _, rest = rest[1:].partition("]")
        options = inside.split()
    if len(parts := rest.split()) < 3:
        return
    stanza = {"Types": "deb", "URIs": parts[0], "Suites": parts[1], "Components": " ".join(parts[2:])}
    names = {"signed-by": "Signed-By", "trusted": "Trusted", "check-valid-until": "Check-Valid-Until",
             "arch": "Architectures"}  # fmt: skip
    for option in options:
        key, _, value = option.partition("=")
        if key in names:
            stanza[names[key]] = value.replace(",", " ")
    yield stanza


def clean(folder: Path) -> None:
    """Delete lists, cache and packages: what was unpacked is all that is needed."""
    shutil.rmtree(folder, ignore_errors=True)


def _run(argv: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    environ |= _proxies()
    return subprocess.run(argv, cwd=cwd, env=environ, capture_output=True, text=True, check=False)


def _proxies() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key.lower().endswith("_proxy")}


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
