#!/usr/bin/env bash
# messages.sh PYTHON PREFIX: build, into the ROS of wheels at PREFIX, the packages of messages that PyPI lacks, from the
# definitions in test/interfaces. Without CMake, a compiler or Python's headers it says so: tests of them are skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
prefix=$(cd "$2" && pwd)
packages=$(basename -a test/interfaces/*/)
header='import os, sysconfig, sys; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))'
if ! { command -v cmake && command -v c++ && "$python" -c "$header"; } >/dev/null; then
    echo "geo_pose: tests of" $packages "are skipped; run: sudo apt-get install -y cmake g++ python3-dev"
    exit 0
fi
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
export PATH="$prefix/bin:$PATH" AMENT_PREFIX_PATH=$prefix
echo "geo_pose: building" $packages
for package in $packages; do
    { cmake -S test/interfaces -B "$build/$package" -DPACKAGE="$package" -DPython3_EXECUTABLE="$python" \
        -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_INSTALL_PREFIX="$prefix" -DBUILD_TESTING=OFF &&
        cmake --build "$build/$package" --target install --parallel 2; } >"$build/log" 2>&1 ||
        { tail -30 "$build/log" >&2; exit 1; }
done
