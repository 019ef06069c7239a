#!/usr/bin/env bash
# Run the tests that need neither ROS nor torch with the Python, numpy, SciPy and OpenCV of a Humble robot, in a virtual
# environment of its own (.venv-humble). Skipped, with a word, where there is no Python 3.10. PYTHON=... names one.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=.venv-humble

python=${PYTHON:-}
for candidate in python3.10 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.10.*/bin/python; do
    [ -n "$python" ] && break
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import ensurepip' 2>/dev/null; then python=$candidate; fi
done
if [ -z "$python" ]; then
    echo "geo_pose: no Python 3.10 here: the tests in a Humble-like environment are skipped; name one with PYTHON=..."
    exit 0
fi
pins=$(cat requirements/humble.txt requirements/robot.txt setup.py | sha256sum | cut -d' ' -f1)
if [ "$(cat $venv/.installed 2>/dev/null)" != "$pins" ]; then
    echo "geo_pose: making $venv with $($python --version)"
    "$python" -m venv --clear $venv
    pip="$venv/bin/python -m pip --disable-pip-version-check install -qq"
    $pip 'setuptools==80.9.0' wheel
    $pip -r requirements/humble.txt
    $pip --no-deps -r requirements/robot.txt
    $pip --no-deps --no-build-isolation --editable .
    echo "$pins" > $venv/.installed
fi
exec $venv/bin/python -m pytest test --ignore test/training --ignore test/ros --ignore test/browser "$@"
