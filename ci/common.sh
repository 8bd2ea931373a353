# Sourced by the scripts beside it: the few things that all of them need.
# shellcheck shell=bash

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The environment that ci/setup makes and every other script but ci/demo works in.
TOCSIN_VENV=${TOCSIN_VENV:-build/venv}
VENV_PYTHON=$PWD/$TOCSIN_VENV/bin/python
[ "${TOCSIN_VENV#/}" = "$TOCSIN_VENV" ] || VENV_PYTHON=$TOCSIN_VENV/bin/python

# What a caller's environment must not change: which modules are found, and how pip talks.
unset PYTHONPATH PYTHONHOME PYTHONSTARTUP
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

say() { printf '\n== %s\n' "$*"; }
fail() {
    printf 'tocsin: %s\n' "$@" >&2
    exit 1
}

need_venv() {
    [ -x "$VENV_PYTHON" ] || fail "no environment in $TOCSIN_VENV: run ci/setup first"
    # Tools call one another by name.
    PATH=$(dirname "$VENV_PYTHON"):$PATH
}

# Where ci/build puts a build that is not the release build (that one is built in place).
lib_of() { printf '%s/build/%s/lib\n' "$PWD" "$1"; }

# Leaves in PYTHON a Python that tocsin supports and that can make environments and compile
# extensions. On Debian, as root, missing packages are installed; otherwise what is missing is said.
find_python() {
    local candidate missing
    if ! PYTHON=$(first_python); then
        apt_install python3 || fail "no Python 3.11 or newer on PATH (set PYTHON to one)"
        PYTHON=$(first_python) || fail "no Python 3.11 or newer on PATH (set PYTHON to one)"
    fi
    missing=()
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
    has_headers "$PYTHON" || missing+=(python3-dev)
    compiles || missing+=(gcc libc6-dev)
    if [ ${#missing[@]} -gt 0 ]; then
        apt_install "${missing[@]}" ||
            fail "missing: ${missing[*]}" "on Debian, as root: apt-get install ${missing[*]}"
        "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || fail "$PYTHON still has no venv module"
        has_headers "$PYTHON" || fail "$PYTHON still has no Python.h (its -dev package)"
        compiles || fail "there is still no C compiler that works (set CC to one)"
    fi
}

first_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
        [ -z "${PYTHON:-}" ] || return 1  # the one that was asked for, or none
    done
    return 1
}

has_headers() {
    "$1" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))'
}

compiles() {
    printf '#include <stdlib.h>\nint main(void) { return 0; }\n' |
        ${CC:-cc} -x c - -o /dev/null 2>/dev/null
}

# As root, or by a sudo that asks nothing.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@" 2>/dev/null; fi
}

apt_install() {
    command -v apt-get >/dev/null && as_root true || return 1
    say "installing $*"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# unpack_program PACKAGE FILE: one program of a Debian package, into build/peers. Nothing is
# installed, so nothing is started and nothing of the system changes.
unpack_program() {
    local folder
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
    say "unpacking $2 of $1"
    folder=$(mktemp -d)
    # Lists may be missing, or older than the archive.
    (cd "$folder" && { download "$1" || { as_root apt-get update -qq && download "$1"; }; }) &&
        dpkg-deb --fsys-tarfile "$folder"/*.deb | tar -xO "./$2" >"$folder/program" &&
        mkdir -p build/peers && chmod 755 "$folder/program" &&
        mv "$folder/program" "build/peers/${2##*/}"
    local status=$?
    rm -rf "$folder"
    return $status
}

download() { apt-get download -qq -o APT::Sandbox::User=root "$1" 2>/dev/null; }

# Leaves in SDIST the path of a source distribution made just now. Needs the environment.
make_sdist() {
    rm -rf build/sdist
    "$VENV_PYTHON" setup.py -q sdist --dist-dir build/sdist
    SDIST=$(echo "$PWD"/build/sdist/*.tar.gz)
}

# smoke VENV: the tocsin installed in VENV works, seen from outside the source tree.
smoke() {
    local venv=$PWD/$1 root=$PWD
    (
        cd "$venv"
        bin/python "$root/ci/smoke.py" "$root"
        bin/tocsin --version
        bin/tocsin scan -q "$root/examples/healthy-machine.log"
    )
}
