.PHONY: demo loop test test-all lint types bench bench-calibrate bench-lifter bench-scenes bench-train-memory bench-view fuzz user-path soak test-browser test-humble test-jazzy test-ros lint-ros bench-moving docs clean

# Large images over Fast DDS need its large-data transport; nothing leaves this machine.
export FASTDDS_BUILTIN_TRANSPORTS ?= LARGE_DATA
export ROS_AUTOMATIC_DISCOVERY_RANGE ?= LOCALHOST

# VIEW=1: also live in the browser.
demo:
	@tools/venv.sh runtime
	@$(if $(VIEW),tools/venv.sh view)
	@.venv/bin/geo_pose demo --out out/$(if $(SCENE),demo_$(SCENE),demo) $(if $(SCENE),--scene $(SCENE)) \
		$(if $(VIEW),--view)

# Real footage, live: the node is recorded, its lifter retrained, put into the running node, and measured again.
loop:
	@tools/venv.sh test
	@.venv/bin/geo_pose loop --out out/loop

# What a contributor runs ten times a day.
test:
	@tools/venv.sh test
	@.venv/bin/python -m pytest test -n 2 --dist loadfile -m 'not slow' --ignore test/browser

# The long and rare too.
test-all: test
	@.venv/bin/python -m pytest test -n 2 --dist loadfile -m slow --ignore test/browser

# Installed as on a robot, over the Python, NumPy, SciPy and OpenCV of its Ubuntu; skipped where there is no such Python.
# SHORT=1: without the live tests and the longest.
test-humble test-jazzy:
	@tools/test_like.sh $(@:test-%=%) $(if $(SHORT),--ignore test/ros --ignore test/bags --ignore test/view)

# Live nodes over real rclpy and messages: Kilted's, which test-all runs too, and Jazzy's. ROS=jazzy: only these.
# SHORT=1: without the longest.
ROS ?= kilted jazzy

test-ros:
	@$(if $(filter kilted,$(ROS)),tools/venv.sh test && .venv/bin/python -m pytest test/ros $(if $(SHORT),-m "not slow"))
	@$(if $(filter jazzy,$(ROS)),TESTS=test/ros tools/test_like.sh jazzy $(if $(SHORT),-m "not slow"))

# Chromium, if it is missing, from Debian's packages.
test-browser:
	@tools/venv.sh browser
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -qq && \
		apt-get install -y -qq --no-install-recommends chromium >/dev/null; } || \
		{ echo "geo_pose: run: sudo apt-get install -y chromium" >&2; exit 1; }
	@GEO_POSE_BROWSER=1 .venv/bin/python -m pytest test/browser

# Warnings and broken links are errors; not --quiet, which would not count warnings.
docs:
	@tools/venv.sh docs
	@NO_MKDOCS_2_WARNING=1 .venv/bin/python -m mkdocs build

LINTERS = $(foreach name,ament-copyright ament-flake8 ament-pep257 ament-xmllint catkin-pkg pytest,python3-$(name)) \
	python3-flake8-builtins python3-flake8-comprehensions libxml2-utils

lint:
	@tools/venv.sh test
	@.venv/bin/ruff check .

# ROS's own linters, from Debian's packages where they are missing.
lint-ros:
	@command -v ament_copyright >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -qq && \
		apt-get install -y -qq --no-install-recommends $(LINTERS) >/dev/null; } || \
		{ echo "geo_pose: run: sudo apt-get install -y $(LINTERS)" >&2; exit 1; }
	@/usr/bin/python3 -m pytest -q -c /dev/null --rootdir . --noconftest -p no:cacheprovider -W ignore test/packaging/test_release.py

types:
	@tools/venv.sh test
	@.venv/bin/mypy

bench:
	@tools/venv.sh test
	@.venv/bin/python benchmarks/pipeline.py
	@.venv/bin/python benchmarks/fusion.py

bench-lifter: FILE = training/lifter
bench-scenes: FILE = scenes
bench-train-memory: FILE = training/store_memory
bench-calibrate: FILE = calibrate
bench-moving: FILE = moving
user-path: FILE = live/user_path

bench-lifter bench-scenes bench-train-memory bench-calibrate bench-moving user-path:
	@tools/venv.sh test
	@.venv/bin/python -m benchmarks.$(subst /,.,$(FILE))

bench-view:
	@tools/venv.sh browser
	@.venv/bin/python -m benchmarks.live.view

SECONDS ?= 60

fuzz:
	@tools/venv.sh test
	@.venv/bin/python -W ignore -m test.fuzz.messages --seconds $(SECONDS) 2>/dev/null  # of the decoders' own words

HOURS ?= 0.5

soak:
	@tools/venv.sh test
	@ROS_DOMAIN_ID=$${ROS_DOMAIN_ID:-77} .venv/bin/python -m benchmarks.live.soak --hours $(HOURS)

clean:
	rm -rf .venv .venv-* .root-* out
