#!/usr/bin/env bash
# test_like.sh humble|jazzy [PYTEST ARGUMENTS]: install as on a robot, and test there. Makes a copy of the robot's Python
# (.root-DISTRO), puts into it, as apt would, the NumPy, SciPy and OpenCV of that Ubuntu and the wheels of rclpy, and
# lets tools/install_robot.sh make a virtual environment over it (.venv-DISTRO). Then the tests run that need no torch.
# Skipped, with a word, where there is no such Python outside of /usr. PYTHON=... names one.
set -euo pipefail
cd "$(dirname "$0")/.."
distro=${1:-}
case $distro in
    humble) version=3.10 ;;
    jazzy) version=3.12 ;;
    *) echo "geo_pose: test_like.sh humble|jazzy [PYTEST ARGUMENTS]; received '$distro'" >&2; exit 2 ;;
esac
shift
root=.root-$distro venv=.venv-$distro

python=${PYTHON:-}
for candidate in python$version "${PYENV_ROOT:-$HOME/.pyenv}"/versions/$version.*/bin/python; do
    [ -n "$python" ] && break
    # What can be copied: not the system's own, nor one that is only named here.
    if command -v "$candidate" >/dev/null &&
        "$candidate" -c 'import sys, ensurepip; sys.exit(sys.base_prefix in ("/usr", "/usr/local"))' 2>/dev/null
    then python=$candidate; fi
done
if [ -z "$python" ]; then
    echo "geo_pose: no Python $version outside of /usr: the tests as on $distro are skipped; name one with PYTHON=..."
    exit 0
fi

root_python=$PWD/$root/bin/python$version
source_ros() {
    # What /opt/ros/DISTRO/setup.bash does; the wheels by themselves find their libraries in their own environment only.
    local site=$PWD/$root/lib/python$version/site-packages
    export AMENT_PREFIX_PATH=$PWD/$root
    LD_LIBRARY_PATH=$PWD/$root/lib$(printf ':%s' "$site"/*.libs)
    export LD_LIBRARY_PATH
}
# Of Humble there are no wheels: Kilted's stand in.
wheels=
grep -q '^ros-' requirements/$distro.txt || wheels="$(grep -h '^ros-' requirements/runtime.txt)"
pins=$({ cat requirements/$distro.txt requirements/robot.txt tools/install_robot.sh tools/messages.sh setup.py; echo "$wheels"
    cat test/interfaces/CMakeLists.txt test/interfaces/*/msg/*.msg; } |
    sha256sum | cut -d' ' -f1)
if [ "$(cat $venv/.installed 2>/dev/null)" != "$pins" ]; then
    echo "geo_pose: making $root and $venv with $("$python" --version)"
    rm -rf $root $venv
    mkdir $root
    (cd "$("$python" -c 'import sys; print(sys.base_prefix)')" && tar c --exclude 'test' --exclude site-packages .) |
        tar x -C $root
    "$root_python" -m ensurepip >/dev/null
    pip="$root_python -m pip --disable-pip-version-check install -qq"
    $pip 'setuptools==80.9.0' wheel
    # shellcheck disable=SC2086 # a list of requirements
    $pip -r requirements/$distro.txt $wheels
    source_ros
    # As apt has them.
    if grep -q rosidl requirements/$distro.txt; then tools/messages.sh "$root_python" $root; fi
    PYTHON=$root_python tools/install_robot.sh $venv
    $venv/bin/python -m pip --disable-pip-version-check install -qq --no-deps --no-build-isolation --editable .
    echo "$pins" > $venv/.installed
fi
source_ros
# As the nodes set it: threads of BLAS would take the cores from all else.
export OPENBLAS_NUM_THREADS=1
# TESTS=FOLDER: only these.
exec $venv/bin/python -m pytest "${TESTS:-test}" --ignore test/training --ignore test/browser "$@"
