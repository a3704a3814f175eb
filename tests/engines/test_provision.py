"""Getting a CRIU: which sources are derived from which, and what is said when it cannot be had."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.engines.local import aptbox, criu, provision
from tests.engines.test_capsules import FOUND

BOOKWORM = {"ID": "debian", "VERSION_CODENAME": "bookworm"}
REPOSITORY = Path(__file__).parents[2]


def _etc(folder: Path, **files: str) -> Path:
    (folder / "sources.list.d").mkdir()
    for name, text in files.items():
        path = folder / name if name == "sources.list" else folder / "sources.list.d" / name.replace("_", ".")
        path.write_text(text)
    return folder


def test_from_deb822_with_security_and_strangers(tmp_path: Path) -> None:
    own = (
        "# ours\nTypes: deb deb-src\nURIs: http://mirror.test/debian\nSuites: bookworm bookworm-updates\n"
        "Components: main contrib\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n\n"
        "Types: deb\nURIs: http://mirror.test/debian-security\nSuites: bookworm-security\nComponents: main\n"
    )
    strange = "Types: deb\nURIs: http://other.test/x\nSuites: nodistro\nComponents: main\n"
    etc = _etc(tmp_path, a_sources=strange, debian_sources=own)
    assert aptbox.newer_sources(BOOKWORM, etc) == (
        "Types: deb\nURIs: http://mirror.test/debian\nSuites: unstable\nComponents: main\n"
        "Signed-By: \n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n"
    )


def test_from_the_old_format(tmp_path: Path) -> None:
    text = (
        "deb-src http://mirror.test/debian bookworm main\n# deb http://no.test/debian bookworm main\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://mirror.test/debian bookworm main contrib # ours\n"
    )
    etc = _etc(tmp_path, **{"sources.list": text})
    assert aptbox.newer_sources(BOOKWORM, etc) == (
        "Types: deb\nURIs: http://mirror.test/debian\nSuites: unstable\nComponents: main\n"
        "Signed-By: /k.gpg\nArchitectures: amd64\n"
    )


def test_ubuntu_takes_its_own_next_suite(tmp_path: Path) -> None:
    text = "Types: deb\nURIs: http://mirror.test/ubuntu\nSuites: noble noble-updates\nComponents: main universe\n"
    sources = aptbox.newer_sources({"ID": "ubuntu", "VERSION_CODENAME": "noble"}, _etc(tmp_path, ubuntu_sources=text))
    assert "Suites: devel\nComponents: main universe\n" in sources


@pytest.mark.parametrize("system", ["fedora", "linuxmint", ""])
def test_systems_without_a_suite(tmp_path: Path, system: str) -> None:
    with pytest.raises(aptbox.AptFailed, match="no suite"):
        aptbox.newer_sources({"ID": system}, _etc(tmp_path))


def test_no_source_of_its_own(tmp_path: Path) -> None:
    text = "Types: deb\nURIs: http://mirror.test/debian\nSuites: bookworm\nComponents: main\nEnabled: no\n"
    with pytest.raises(aptbox.AptFailed, match="main archive"):
        aptbox.newer_sources(BOOKWORM, _etc(tmp_path, debian_sources=text))


def test_a_program_that_fails_its_check_is_no_criu(tmp_path: Path) -> None:
    assert criu.check(tmp_path / "criu") is None
    (tmp_path / "criu").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "criu").chmod(0o755)
    assert criu.check(tmp_path / "criu") is None


@pytest.mark.criu
@pytest.mark.skipif(FOUND.tools is None, reason="no capsules here")
def test_again_is_quick_and_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert provision.main([]) == provision.DONE
    assert capsys.readouterr().out.count("\n") == 1


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become nobody")
def test_without_root_it_says_what_is_missing(tmp_path: Path) -> None:
    """As nobody, with no prefix to look into. Where nobody may not read the code there is nothing to test."""
    script = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
        "from gateway.engines.local import provision\n"
        "os.environ['PATH'] = '/nowhere'; os.setuid(65534)\n"
        "sys.exit(provision.main(['--prefix', '/nowhere']))"
    )
    words = [sys.executable, "-c", script, str(REPOSITORY)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == provision.NEEDS_ROOT
    assert done.stdout.startswith("missing: ")
    assert done.stdout.endswith("a working CRIU. Run this as root to get it.\n")
