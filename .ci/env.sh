# What the Makefile's targets do. Sourced by a POSIX shell in the repository's root.
set -eu

LACKS=''  # words for what this machine cannot do: tests that are skipped for it are excused

say() { printf '%s\n' "$*"; }
die() { printf 'Error: %s\n' "$*" >&2; exit 1; }
is_root() { [ "$(id -u)" = 0 ]; }
lacking() { LACKS="$LACKS $1"; }

# --- Python ---------------------------------------------------------------------------------------------------------

# Those that will do, the best first: a distribution builds its own for speed, others often are not, and that is a
# quarter of the gateway's requests. PYTHON=… is taken alone.
find_pythons() {
    for one in ${PYTHON:-/usr/bin/python3 python3 python3.14 python3.13 python3.12 python3.11}; do
        if "$one" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then command -v "$one"; fi
    done
}

# environment NAME EXTRAS: .venv with floatgate and these extras; again only when pyproject.toml has changed.
environment() {
    stamp=.venv/.$1
    if [ "$(cat .venv/.place 2>/dev/null)" != "$PWD" ] || ! .venv/bin/python -c '' 2>/dev/null; then
        make_venv
        printf '%s\n' "$PWD" >.venv/.place
    fi
    cmp -s pyproject.toml "$stamp" && return
    say "Installing floatgate with $2 into .venv (once; a minute or two) …"
    if ! .venv/bin/python -m pip install --disable-pip-version-check -e ".[$2]" >.venv/pip.log 2>&1; then
        tail -n 30 .venv/pip.log >&2
        die 'pip could not install what floatgate needs; its last words are above, all of them in .venv/pip.log'
    fi
    cp pyproject.toml "$stamp"
    [ "$1" = run ] || cp pyproject.toml .venv/.run  # the tests' environment has all of run's
}

# .venv, with the first of them that can make one.
make_venv() {
    pythons=$(find_pythons)
    if [ -z "$pythons" ]; then
        found=$("${PYTHON:-python3}" --version 2>/dev/null || echo 'no Python')
        die "floatgate needs Python 3.11 or later; here is $found. Install one, or name it: make run PYTHON=/path/to/python3.12"
    fi
    for one in $pythons; do
        version=$("$one" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        say "Making .venv with Python $version ($one) …"
        venv_of "$one" "$version" && return
    done
    rm -rf .venv
    die "$one cannot make a virtual environment: install python$version-venv (Debian, Ubuntu) or virtualenv, then run this again"
}

# venv_of PYTHON VERSION. Debian has a Python whose venv module lacks pip: four ways around that, the plain one first.
venv_of() {
    rm -rf .venv
    "$1" -m venv .venv >/dev/null 2>&1 && return
    if apt_install "python$2-venv" || apt_install python3-venv; then
        rm -rf .venv
        "$1" -m venv .venv >/dev/null 2>&1 && return
    fi
    rm -rf .venv
    "$1" -m virtualenv --quiet .venv >/dev/null 2>&1 && return
    rm -rf .venv
    "$1" -m venv --without-pip .venv >/dev/null 2>&1 &&
        "$1" -m pip --python .venv/bin/python install --quiet pip >/dev/null 2>&1
}

# --- The machine ----------------------------------------------------------------------------------------------------

# apt_install PACKAGES…: as root on Debian and its kin; reads the package lists only when it has to.
apt_install() {
    is_root && command -v apt-get >/dev/null 2>&1 || return 1
    say "Installing $* …"
    apt_get install "$@" || { apt_get update && apt_get install "$@"; }
}

apt_get() {
    verb=$1
    shift
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 "$verb" \
        $([ "$verb" = install ] && echo --no-install-recommends) "$@" >/dev/null 2>&1
}

# A working CRIU and what capsules need; without it moves are simulated.
capsules() {
    if ! is_root; then
        say 'Not root: moves between hosts will be simulated (float doctor says more).'
        return 1
    fi
    # -W: runpy warns that the package has imported the module already, which is so and does no harm
    .venv/bin/python -W ignore::RuntimeWarning -m gateway.engines.local.provision && return
    say 'Without that, moves between hosts will be simulated (float doctor says more).'
    return 1
}

browser() {
    for one in chromium chromium-browser google-chrome google-chrome-stable; do
        command -v "$one" >/dev/null 2>&1 && return
    done
    apt_install chromium || { say 'There is no Chromium: the browser tests will be skipped.'; return 1; }
}

# A second engine for the widget's tests: Firefox ESR.
firefox() {
    command -v firefox-esr >/dev/null 2>&1 || command -v firefox >/dev/null 2>&1 && return
    apt_install firefox-esr || { say 'There is no Firefox: its tests will be skipped.'; return 1; }
}

# What npm has for tests and checks, into .venv/node: axe-core for accessibility, TypeScript for the scripts' types.
scripts() {
    [ -d .venv/node/node_modules/axe-core ] && [ -x .venv/node/node_modules/.bin/tsc ] && return
    command -v npm >/dev/null 2>&1 || apt_install nodejs npm || { say 'There is no npm: what needs it will be skipped.'; return 1; }
    npm install --prefix .venv/node --no-audit --no-fund --no-save axe-core@4 typescript@5 >.venv/npm.log 2>&1 ||
        { say 'npm could not get axe-core and TypeScript (.venv/npm.log): what needs them will be skipped.'; return 1; }
}

# A Shiny app, for the widget's tests.
shiny() {
    command -v Rscript >/dev/null 2>&1 && Rscript -e 'library(shiny)' >/dev/null 2>&1 && return
    apt_install r-cran-shiny || { say 'There is no Shiny: its test will be skipped.'; return 1; }
}

# The programs of a PostgreSQL server, for the tests of the store; Debian's package also starts one, which nobody uses.
database() {
    command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && return
    apt_install postgresql || { say 'There is no PostgreSQL: its tests will be skipped.'; return 1; }
}

# --- Tests ----------------------------------------------------------------------------------------------------------

# Two files at a time: most tests wait for processes, browsers or clocks, and CI has two cores.
run_tests() {
    failed=0
    .venv/bin/python -m pytest -n 2 --dist loadfile -r fE --junit-xml=.venv/tests.xml "$@" || failed=$?
    .venv/bin/python .ci/skips.py .venv/tests.xml $LACKS || failed=1
    exit "$failed"
}

check() {
    .venv/bin/ruff check .
    .venv/bin/ruff format --check .
    .venv/bin/mypy
    if scripts; then .venv/node/node_modules/.bin/tsc -p static; else say 'The types of the scripts were not checked.'; fi
    .venv/bin/python -m pytest -q tests/test_house.py tests/test_docs.py
}

bench() {
    [ -f tests/bench/__main__.py ] || die 'there are no benchmarks in tests/bench'
    sh tests/bench/setup.sh || say 'Not everything that is compared could be had: what is missing is named in the results.'
    .venv/bin/python -m tests.bench "$@"
    if [ $# -gt 1 ]; then return; fi  # only a part was asked for
    say 'And now whether anything is lost, for longer than the tests take:'
    .venv/bin/python -m tests.zero_loss --long
}
