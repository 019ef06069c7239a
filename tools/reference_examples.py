"""An example for each public Python name, as the reference shows them; later ones use what earlier ones made."""

from pathlib import Path

import numpy as np

from geo_pose_ros import (
    BODY17,
    Bodies3D,
    CalibrateTask,
    Camera,
    CameraRig,
    Frame,
    FrameSet,
    GeoPoseError,
    Intrinsics,
    Keypoints2D,
    PipelineConfig,
    PipelineResult,
    PosePipeline,
    Recorded,
    Recording,
    Scene,
    SceneResult,
    Skeleton,
    calibrate,
    get_skeleton,
    load_rig,
    process_bag,
    read_calibration,
)

# --- load_rig
rig: CameraRig = load_rig(Path('rig.yaml'))

# --- read_calibration
rig = read_calibration(Path('calibration.toml'), unit='m')

# --- CameraRig
pair = rig.subset(['cam0', 'cam1'])
baseline_m = np.linalg.norm(pair['cam0'].position_m - pair['cam1'].position_m)

# --- Intrinsics
lens = Intrinsics(np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]), np.zeros(5), 'plumb_bob', 640, 480)

# --- Camera
camera = Camera('left', 'left_optical_frame', lens, cam_from_world=np.eye(3, 4))

# --- Frame
frame = Frame('cam0', 0, np.zeros((480, 640, 3), np.uint8))

# --- FrameSet
frames = FrameSet({'cam0': frame})

# --- PipelineConfig
config = PipelineConfig()

# --- PosePipeline
with PosePipeline(rig, config) as pipeline:
    result = pipeline.process(frames)

# --- PipelineResult
result: PipelineResult
print(len(result.bodies), result.stage_ms)

# --- BODY17
wrist = BODY17.index('left_wrist')

# --- Skeleton
skeleton: Skeleton = BODY17
bones = [(skeleton.joint_names[a], skeleton.joint_names[b]) for a, b in skeleton.edges]

# --- get_skeleton
coco17 = get_skeleton('coco17')

# --- Keypoints2D
nobody = Keypoints2D('cam0', 0, coco17, np.empty((0, 17, 2)), np.empty((0, 17)))

# --- Scene
scene = Scene(rig)
instant = scene.step(0, {'cam0': nobody})

# --- SceneResult
instant: SceneResult
print(instant.bodies.xyz.shape, instant.unassigned['cam0'])

# --- Recording
with Recording([Path('walk')]) as recording:
    detected = {name: [] for name in recording.cameras}
    for message in recording.stream(['keypoints']):
        detected[message.source.camera].append(message.keypoints())

# --- Recorded
with Recording([Path('walk')]) as recording:
    message: Recorded = next(recording.stream(['bodies']))
    bodies = message.bodies()

# --- Bodies3D
bodies: Bodies3D
wrists_m = dict(zip(bodies.body_ids, bodies.xyz[:, wrist], strict=True))

# --- calibrate
found = calibrate(detected, rig)
better = rig if found.refusal else found.rig

# --- CalibrateTask
task = CalibrateTask(sync=True, max_offset_s=2.0)

# --- process_bag
summary = process_bag(Path('walk'), Path('bodies'), overwrite=True)

# --- GeoPoseError
try:
    load_rig(Path('no_such_file.yaml'))
except GeoPoseError as error:
    print(error)
