#!/bin/sh
# Makes the project's environment in .venv from requirements.lock; does nothing when it is up to date.
#
#   sh bootstrap.sh              make or renew the environment
#   sh bootstrap.sh --find-only  print the interpreter that would be used, and stop
#
# FORECASTER_PYTHON=python3.12 (a name or a path) uses that interpreter and no other.
set -u

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P) || exit 1
venv=$here/.venv
stamp=$venv/.forecaster-stamp
making=$venv/.forecaster-making
supported='Python 3.12, 3.13 or 3.14 (64-bit CPython) with its venv and ensurepip modules'

say() { printf '%s\n' "$*"; }
fail() {
    printf 'set-up: %s\n' "$*" >&2
    exit 1
}

# --- an interpreter, found by running candidates ----------------------------------------------------------------------
# A name on the path proves nothing: a version manager's shim may exist and fail. The probe runs under Python 2 as well,
# so that an old interpreter is called old and not broken.
probe='
import struct, sys
lacks = []
for name in ("venv", "ensurepip"):
    try:
        module = __import__(name)
        if name == "ensurepip":
            module.version()
    except Exception:
        lacks.append(name)
kind = getattr(getattr(sys, "implementation", None), "name", "cpython")
bits = struct.calcsize("P") * 8
sys.stdout.write("\n%s|%d.%d|%d.%d.%d|%s|%d|%s|%s\n" % (
    ("PROBE",) + sys.version_info[:2] + sys.version_info[:3] + (kind, bits, "+".join(lacks), sys.executable)))
'

# try_python CANDIDATE: sets verdict ('' when usable), series, version, executable.
try_python() {
    series='' version='' executable=''
    if ! answer=$("$1" -E -s -W ignore -c "$probe" 2>&1 </dev/null); then
        first=$(printf '%s\n' "$answer" | sed -n '/[^[:space:]]/{s/^.*: line [0-9]*: //;p;q;}')
        verdict="does not run (${first:-it says nothing})"
        return
    fi
    case $answer in
        *"PROBE|"*) ;;
        *)
            verdict='is not a Python interpreter'
            return
            ;;
    esac
    old_ifs=$IFS
    IFS='|'
    set -f
    # shellcheck disable=SC2086 # split at the bars
    set -- ${answer##*PROBE|}
    set +f
    IFS=$old_ifs
    series=$1 version=$2 kind=$3 bits=$4 lacks=$5
    shift 5
    executable=$*
    verdict=''
    case $series in
        3.12 | 3.13 | 3.14) ;;
        2.* | 3.? | 3.1[01]) verdict="is Python $version, too old" ;;
        *) verdict="is Python $version, newer than requirements.lock supports" ;;
    esac
    [ -n "$verdict" ] && return
    if [ "$kind" != cpython ]; then
        verdict="is Python $version of $kind, not CPython"
    elif [ "$bits" != 64 ]; then
        verdict="is Python $version for $bits bits"
    elif [ -n "$lacks" ]; then
        verdict="is Python $version without $lacks (Debian and Ubuntu: install python$series-venv)"
    fi
}

# consider CANDIDATE: keeps the best so far in best_*, notes the others in refused; answers 0 when none can be better.
consider() {
    [ -f "$1" ] && [ -x "$1" ] || return 1
    case $seen in *"|$1|"*) return 1 ;; esac
    # Where /bin is /usr/bin, one of them is enough.
    # shellcheck disable=SC3013 # every shell that is somewhere `sh` knows -ef
    case $seen in *"|/usr$1|"*) [ "$1" -ef "/usr$1" ] && return 1 ;; esac
    seen="$seen$1|"
    try_python "$1"
    if [ -n "$verdict" ]; then
        refused="$refused; $1 $verdict"
        return 1
    fi
    case $series in
        3.13) rank=1 ;;
        3.12) rank=2 ;;
        *) rank=3 ;;
    esac
    if [ "$rank" -lt "$best_rank" ]; then
        best_rank=$rank best_version=$version best_executable=$executable
    fi
    [ "$best_rank" -eq 1 ]
}

search() {
    old_ifs=$IFS
    for name in python3.13 python3.12 python3.14 python3 python; do
        IFS=:
        set -f
        # shellcheck disable=SC2086 # split at the colons
        set -- $PATH
        set +f
        IFS=$old_ifs
        for folder in "$@"; do
            consider "${folder:-.}/$name" && return
        done
    done
    home=${HOME:-/nonexistent}
    # pyenv, asdf, mise, rtx and uv keep interpreters in folders of their own, whether or not one is switched on.
    for root in \
        "${PYENV_ROOT:-$home/.pyenv}/versions" \
        "$home/.pyenv/versions" \
        "${ASDF_DATA_DIR:-$home/.asdf}/installs/python" \
        "${MISE_DATA_DIR:-${XDG_DATA_HOME:-$home/.local/share}/mise}/installs/python" \
        "$home/.local/share/rtx/installs/python" \
        "${UV_PYTHON_INSTALL_DIR:-${XDG_DATA_HOME:-$home/.local/share}/uv/python}"; do
        for candidate in "$root"/*3.13*/bin/python3 "$root"/*3.12*/bin/python3 "$root"/*/bin/python3; do
            consider "$candidate" && return
        done
    done
    # Homebrew, when it is not on the path.
    for candidate in "${HOMEBREW_PREFIX:-/opt/homebrew}"/bin/python3.1[324]; do
        consider "$candidate" && return
    done
}

# find_python: sets best_version and best_executable, or stops with one message.
find_python() {
    seen='|' refused='' best_rank=9 best_version='' best_executable=''
    if [ -n "${FORECASTER_PYTHON:-}" ]; then
        chosen=$(command -v -- "$FORECASTER_PYTHON" 2>/dev/null) ||
            fail "FORECASTER_PYTHON=$FORECASTER_PYTHON was not found; give the name or path of $supported, or unset it."
        try_python "$chosen"
        [ -z "$verdict" ] ||
            fail "FORECASTER_PYTHON=$FORECASTER_PYTHON $verdict; give the name or path of $supported, or unset it."
        best_version=$version best_executable=$executable
        return
    fi
    search
    [ -n "$best_executable" ] && return
    refused=${refused#; }
    fail "no suitable Python was found: install $supported (Debian 13, Ubuntu 24.04: apt install python3 python3-venv;\
 macOS: brew install python@3.13; pyenv: pyenv install 3.13) or set FORECASTER_PYTHON to one.\
 Tried: ${refused:-nothing, for there is no python3 on the PATH and none of a version manager}."
}

# --- up to date? ------------------------------------------------------------------------------------------------------
# The key names everything that the environment was made from: the lock, the project file, this script and the place
# (scripts in an environment hold its path). The interpreter's version follows it, asked of the environment itself.
wanted_key() {
    (cd "$here" && cksum requirements.lock pyproject.toml bootstrap.sh 2>/dev/null) ||
        fail "requirements.lock or pyproject.toml is missing in $here."
    say "$here"
}

environment_version() {
    "$venv/bin/python" -I -S -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null
}

up_to_date() {
    [ -f "$stamp" ] && [ ! -e "$making" ] && current=$(environment_version) || return 1
    [ "$(cat "$stamp")" = "$key
$current" ]
}

# --- the environment --------------------------------------------------------------------------------------------------
refuse_unwritable() {
    fail "no permission to write $1; make it writable for $(id -un 2>/dev/null || id -u)\
 or copy the project to a folder of yours."
}

# A pip alone uses one core, most of its time to read the pages of the index, so four of them share the lock. None looks
# for what its packages need: the lock holds it. On failure their messages have been shown and the answer is 1.
install_packages() {
    rm -f "$venv"/.forecaster-part-*
    part=1
    while read -r line; do
        printf '%s\n' "$line" >>"$venv/.forecaster-part-$part"
        part=$((part % 4 + 1))
    done <"$here/requirements.lock"
    pips=''
    # What a script leaves running beside itself does not hear the keyboard's interruption.
    trap 'kill $pips 2>/dev/null; exit 130' INT TERM HUP
    for list in "$venv"/.forecaster-part-*; do
        (exec "$venv/bin/python" -m pip --disable-pip-version-check --no-input install --quiet --quiet --no-compile \
            --no-deps --requirement "$list") &
        pips="$pips $!"
    done
    failed=''
    for each in $pips; do
        wait "$each" || failed=yes
    done
    trap - INT TERM HUP
    rm -f "$venv"/.forecaster-part-*
    [ -z "$failed" ]
}

main() {
    case ${1:-} in
        '') ;;
        --find-only)
            find_python
            say "$best_executable"
            return
            ;;
        *) fail "unknown option $1; there is only --find-only." ;;
    esac

    key=$(wanted_key) || exit 1
    if [ -n "${FORECASTER_PYTHON:-}" ]; then
        find_python
    fi
    if up_to_date && [ "${best_version:-$current}" = "$current" ]; then
        return
    fi
    [ -n "${best_executable:-}" ] || find_python

    if [ -L "$venv" ] || { [ -e "$venv" ] && [ ! -d "$venv" ]; }; then
        fail "$venv is not a folder; remove it and run the same command again."
    elif [ -d "$venv" ]; then
        [ -w "$venv" ] || refuse_unwritable "$venv"
        if [ -f "$making" ]; then
            maker=$(cat "$making")
            if [ -n "$maker" ] && kill -0 "$maker" 2>/dev/null; then
                fail "another set-up (process $maker) is making .venv; wait for it, or remove .venv if there is none."
            fi
        elif [ ! -f "$stamp" ] && [ -n "$(ls -A "$venv")" ]; then
            fail "$venv was not made by this project; move it away or remove it, then run the same command again."
        fi
    else
        [ -w "$here" ] || refuse_unwritable "$here"
    fi

    # Half-made, of another interpreter or moved from elsewhere: from nothing. Otherwise only what changed is installed.
    if [ ! -f "$stamp" ] || [ -e "$making" ] || [ "$(environment_version)" != "$best_version" ] ||
        [ "$(sed -n 4p "$stamp")" != "$here" ]; then
        rm -rf "$venv" || fail "could not remove the old $venv; remove it and run the same command again."
        mkdir "$venv" 2>/dev/null || refuse_unwritable "$here"
        fresh=yes
    else
        fresh=''
    fi
    # From here on the environment counts as half-made until the stamp is written.
    printf '%s\n' "$$" >"$making" || refuse_unwritable "$venv"
    rm -f "$stamp"
    if [ -n "$fresh" ]; then
        say "set-up: making .venv with Python $best_version and the packages of requirements.lock (one to two minutes)"
        "$best_executable" -m venv "$venv" ||
            fail "$best_executable could not make an environment in $venv; its message is above."
    else
        say 'set-up: renewing .venv, for requirements.lock, pyproject.toml or bootstrap.sh changed'
    fi
    install_packages ||
        fail "pip could not install requirements.lock; its message is above. Look at the network, the free space and\
 pip's configuration, then run the same command again."
    # The build backend is in the lock too, so that this step asks the network for nothing.
    "$venv/bin/python" -m pip --disable-pip-version-check --no-input install --quiet --quiet --no-deps \
        --no-build-isolation --editable "$here" ||
        fail "pip could not install the project itself; its message is above."
    # Byte code, made here on all cores (pip would use one): where PYTHONDONTWRITEBYTECODE is set, every process would
    # otherwise compile anew what it imports, ten seconds for the models. A package's own tests are not needed. What
    # cannot be compiled is compiled, or complained of, when it is imported; so is a source file changed afterwards.
    "$venv/bin/python" -m compileall -qq -j 0 -x 'site-packages/.*/tests?/' "$venv/lib" \
        "$here/forecaster" "$here/models" "$here/dashboards" </dev/null || :
    # So that the first `forecaster --help` of a user is as quick as the later ones.
    "$venv/bin/forecaster" --help >/dev/null 2>&1 </dev/null || :

    version=$(environment_version)
    { printf '%s\n%s\n' "$key" "$version" >"$stamp.part" && mv "$stamp.part" "$stamp" && rm -f "$making"; } ||
        fail "could not write $stamp; look at the free space, then run the same command again."
    say 'set-up: done'
}

main "$@"
