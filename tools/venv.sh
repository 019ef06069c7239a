#!/usr/bin/env bash
# Make .venv and install the pinned requirements into it: venv.sh runtime|test|browser|docs. A second call with the same pins does
# nothing. PYTHON=... chooses the interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."
kind=$1
venv=.venv

fail() { echo "geo_pose: $*" >&2; exit 1; }

used=(requirements/runtime.txt requirements/detector.txt "requirements/$kind.txt" setup.py)
[ "$kind" != test ] || used+=(tools/messages.sh test/interfaces/CMakeLists.txt test/interfaces/*/msg/*.msg)
pins=$(cat "${used[@]}" | sha256sum | cut -d' ' -f1)
stamp=$venv/.installed-$kind
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$pins" ]; then exit 0; fi

# What the pinned wheels exist for.
fits='import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))'

if [ ! -x $venv/bin/python ] || ! $venv/bin/python -m pip --version >/dev/null 2>&1; then
    python=${PYTHON:-}
    for candidate in python3.12 python3.13 python3.11 python3.10 python3.14 python3; do
        [ -n "$python" ] && break
        if command -v $candidate >/dev/null && $candidate -c "$fits" 2>/dev/null; then python=$candidate; fi
    done
    [ -n "$python" ] || fail "no Python 3.10 to 3.14; run: sudo apt-get install -y python3 python3-venv, or name one" \
        "with PYTHON=..."
    $python -c "$fits" ||
        fail "$python is $($python --version); it takes 3.10 to 3.14. Name one with PYTHON=..."
    version=$($python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    $python -c 'import venv, ensurepip' 2>/dev/null ||
        fail "Python $version lacks venv; run: sudo apt-get install -y python$version-venv"
    echo "geo_pose: making $venv with Python $version"
    $python -m venv --clear $venv
fi
# Not piped into grep -q: it closes the pipe at the first match, and ldconfig's SIGPIPE fails the pipe under pipefail.
case "$(/sbin/ldconfig -p 2>/dev/null || true)" in *libstdc++.so.6*) ;; *)
    fail "libstdc++.so.6 is missing; run: sudo apt-get install -y libstdc++6" ;;
esac

echo "geo_pose: installing the pinned packages of requirements/$kind.txt (once)"
pip="$venv/bin/python -m pip --disable-pip-version-check install -qq"
$pip 'setuptools==80.9.0' wheel
$pip -r "requirements/$kind.txt"
$pip --no-deps -r requirements/detector.txt
$pip --no-deps --no-build-isolation --editable .
# Benchmarks and tests find each other by name, wherever they are started.
$venv/bin/python -c 'import os, site; print(os.getcwd(), file=open(f"{site.getsitepackages()[0]}/repository.pth", "w"))'
[ "$kind" != test ] || tools/messages.sh $venv/bin/python $venv
# Now, so that no first set waits.
$venv/bin/python -c 'import geo_pose_ros.pipeline as _; from geo_pose_ros.compiled import prepare; prepare(print)'
echo "$pins" > "$stamp"
