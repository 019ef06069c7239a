.PHONY: demo loop test lint types bench bench-lifter bench-memory clean

# Large images over Fast DDS need its large-data transport; nothing leaves this machine.
export FASTDDS_BUILTIN_TRANSPORTS ?= LARGE_DATA
export ROS_AUTOMATIC_DISCOVERY_RANGE ?= LOCALHOST

demo:
	@tools/venv.sh runtime
	@.venv/bin/geo_pose demo --out out/demo

# From the demo's live recording to a better lifter and back: what the node saw, retrained on, processed again.
loop: demo
	@tools/venv.sh test
	@.venv/bin/geo_pose evaluate geo_pose_ros/models/body17.onnx --data bag:out/demo/processed,frames:60-100
	@.venv/bin/geo_pose retrain --bag out/demo/processed --held-out cam04 --frames 0-60 --held-out-frames 60-100 \
		--out out/loop/body17.onnx
	@.venv/bin/geo_pose process out/demo/footage --out out/loop/processed --overwrite \
		--pipeline.lifter.model out/loop/body17.onnx
	@.venv/bin/geo_pose evaluate out/loop/body17.onnx --data bag:out/loop/processed,frames:60-100

test:
	@tools/venv.sh test
	@.venv/bin/python -m pytest test

lint:
	@tools/venv.sh test
	@.venv/bin/ruff check .

types:
	@tools/venv.sh test
	@.venv/bin/mypy

bench:
	@tools/venv.sh test
	@.venv/bin/python benchmarks/pipeline.py
	@.venv/bin/python benchmarks/fusion.py

bench-lifter:
	@tools/venv.sh test
	@.venv/bin/python -m geo_pose_training.benchmark

bench-memory:
	@tools/venv.sh runtime
	@.venv/bin/python benchmarks/memory.py

clean:
	rm -rf .venv out
