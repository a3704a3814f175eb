# What the benchmarks need beyond the product: `sh tests/bench/setup.sh`, from the repository's root.
#
# As root on Debian and its kin apt installs the load generator and the peers; npm and pip put theirs into build/bench,
# where nothing else sees them. What cannot be had is said, and the benchmarks then name it as missing.
set -u

BENCH_HOME=${FLOATGATE_BENCH_HOME:-$PWD/build/bench}
BENCH_PYTHON=.venv/bin/python
CHP='configurable-http-proxy@5'
JUPYTER='jupyter-server-proxy>=4.4'
PROFILER='py-spy>=0.4'
[ -x "$BENCH_PYTHON" ] || BENCH_PYTHON=${PYTHON:-python3}
PATH=$PATH:/usr/sbin:/sbin

tell() { printf '%s\n' "$*"; }
has() { command -v "$1" >/dev/null 2>&1; }

# Debian starts a server when it is installed; this tells it not to, the way Debian itself provides for.
without_services() {
    policy=/usr/sbin/policy-rc.d
    [ -e "$policy" ] && { "$@"; return; }
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
    "$@"
    code=$?
    rm -f "$policy"
    return "$code"
}

apt_quietly() { DEBIAN_FRONTEND=noninteractive apt-get -qq -y "$@" >>"$BENCH_HOME/setup.log" 2>&1; }

install_packages() {
    apt_quietly install --no-install-recommends "$@" && return
    apt_quietly update && apt_quietly install --no-install-recommends "$@"
}

# The services must not come up at the next boot either.
disable() {
    has systemctl || return 0
    for unit in "$@"; do systemctl disable "$unit" >/dev/null 2>&1 || true; done
}

packages() {
    wanted=''
    new=''
    has wrk || wanted=' wrk'
    for one in nginx haproxy caddy; do
        has "$one" || { wanted="$wanted $one"; new="$new $one"; }
    done
    has cc || has gcc || wanted="$wanted gcc libc6-dev"
    has npm || wanted="$wanted nodejs npm"
    [ -z "$wanted" ] && return
    if [ "$(id -u)" != 0 ] || ! has apt-get; then
        tell "Not root, or no apt-get: install these for a full comparison:$wanted"
        return
    fi
    tell "Installing$wanted …"
    # shellcheck disable=SC2086  # words
    without_services install_packages $wanted ||
        for one in $wanted; do without_services install_packages "$one" || tell "apt has no $one for this machine."; done
    # shellcheck disable=SC2086
    disable $new
}

configurable() {
    [ -x "$BENCH_HOME/npm/node_modules/.bin/configurable-http-proxy" ] && return
    has npm || { tell 'There is no npm: configurable-http-proxy will be missing.'; return; }
    tell "Installing $CHP …"
    npm install --silent --no-audit --no-fund --prefix "$BENCH_HOME/npm" "$CHP" >>"$BENCH_HOME/setup.log" 2>&1 ||
        tell 'npm could not install configurable-http-proxy: it will be missing.'
}

# environment_of NAME PACKAGE: a virtual environment in BENCH_HOME with that package.
environment_of() {
    [ "$(cat "$BENCH_HOME/$1/.made" 2>/dev/null)" = "$2" ] && return
    tell "Installing $2 …"
    rm -rf "${BENCH_HOME:?}/$1"
    # Debian's venv may lack pip, so the one that we have installs into the new environment.
    if "$BENCH_PYTHON" -m venv --without-pip "$BENCH_HOME/$1" >>"$BENCH_HOME/setup.log" 2>&1 &&
        "$BENCH_PYTHON" -m pip --python "$BENCH_HOME/$1/bin/python" install --disable-pip-version-check -q "$2" \
            >>"$BENCH_HOME/setup.log" 2>&1; then
        printf '%s\n' "$2" >"$BENCH_HOME/$1/.made"
    else
        tell "pip could not install $2: it will be missing."
    fi
}

mkdir -p "$BENCH_HOME"
packages
configurable
environment_of jupyter "$JUPYTER"
environment_of tools "$PROFILER"
tell "The log of all that is $BENCH_HOME/setup.log."
