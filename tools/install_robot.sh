#!/usr/bin/env bash
# On a robot: install_robot.sh [--apt] [VENV]. Makes VENV (default ./venv) over the system's Python packages and puts
# into it what apt does not have (requirements/robot.txt), nothing else: numpy and OpenCV stay apt's, because ROS's
# binaries are built for them. With --apt, sudo apt-get installs what apt has; without, it is named. A second call
# repairs. PYTHON=... chooses the interpreter; it must be the one of the ROS 2 that is sourced.
set -euo pipefail
source_tree=$(cd "$(dirname "$0")/.." && pwd)

fail() { echo "geo_pose: $*" >&2; exit 1; }

apt=no
if [ "${1:-}" = --apt ]; then apt=yes; shift; fi
venv=${1:-$PWD/venv}
python=${PYTHON:-/usr/bin/python3}

# Import -> package of Debian and Ubuntu.
wanted='numpy=python3-numpy scipy=python3-scipy numba=python3-numba cv2=python3-opencv PIL=python3-pil yaml=python3-yaml
tqdm=python3-tqdm matplotlib=python3-matplotlib jinja2=python3-jinja2 ensurepip=python3-venv'

missing() {
    for pair in $wanted; do
        "$python" -c "import ${pair%%=*}" >/dev/null 2>&1 || printf '%s ' "${pair##*=}"
    done
}

command -v "$python" >/dev/null || fail "no $python; run: sudo apt-get install -y python3"
"$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' ||
    fail "$python is $("$python" --version); it takes 3.10 to 3.14 (Ubuntu 22.04 or later)"
lacks=$(missing)
if [ -n "$lacks" ] && [ $apt = yes ]; then
    # shellcheck disable=SC2086 # a list of names
    sudo apt-get install -y $lacks
    lacks=$(missing)
fi
[ -z "$lacks" ] || fail "missing: $lacks; run: sudo apt-get install -y $lacks"
"$python" -c 'import rclpy' 2>/dev/null ||
    fail "$python cannot import rclpy; source ROS 2 first: . /opt/ros/\$ROS_DISTRO/setup.bash"

if [ ! -x "$venv/bin/python3" ]; then
    echo "geo_pose: making $venv over the packages of $python"
    "$python" -m venv --system-site-packages "$venv"
fi
# Not a package of the workspace it may lie in.
touch "$venv/COLCON_IGNORE"
grep -qi 'include-system-site-packages *= *true' "$venv/pyvenv.cfg" ||
    fail "$venv does not see the system's packages; remove it, or name another place"
"$venv/bin/python3" -m pip --disable-pip-version-check install -qq --no-deps -r "$source_tree/requirements/robot.txt"

PYTHONPATH="$source_tree${PYTHONPATH:+:$PYTHONPATH}" "$venv/bin/python3" -m geo_pose_ros.cli check ||
    fail "not all is there; see above"
echo "geo_pose: done. In every shell: . $venv/bin/activate"
