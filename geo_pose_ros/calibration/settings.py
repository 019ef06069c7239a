# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Settings of calibration from people, of `geo_pose calibrate` and of a node's service alike."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..settings import setting


@dataclass(frozen=True, slots=True)
class AdjustConfig:
    """The bundle adjustment: what it may move, and how residuals are weighed."""

    intrinsics: str = setting(
        'fixed', 'Intrinsics that are estimated too', choices=('fixed', 'focal', 'focal+distortion')
    )
    clocks: bool = setting(True, 'Estimate the offset of every camera\'s clock from the first one\'s')
    drift: bool = setting(False, 'Estimate the drift of every camera\'s clock too')
    robust_sigmas: float = setting(
        4.5, 'Residual, in standard deviations of what its joint leaves of it, at which a keypoint counts a quarter',
        low=0.5, high=100.0,
    )
    bone_spread: float = setting(
        0.03, 'Relative standard deviation of a person\'s bone length from instant to instant, the detector\'s '
        'wandering joints included; 0: lengths are free', low=0.0, high=1.0,
    )
    given_rotation_rad: float = setting(
        0.03, 'Standard deviation, about each axis, of the rotations of the rig that is refined', unit='rad', low=1e-4,
        high=10.0,
    )
    given_position_m: float = setting(
        0.05, 'The same of its positions, along each axis', unit='m', low=1e-4, high=100.0
    )
    focal_spread: float = setting(
        0.15, 'Standard deviation of the logarithm of a focal length around the given one', low=0.001, high=1.0
    )
    clock_spread_s: float = setting(
        0.03, 'Standard deviation of a clock offset around the one found before', unit='s', low=0.001, high=10.0
    )
    drift_spread: float = setting(
        1e-4, 'Standard deviation of a clock\'s drift; crystals of phones and cameras have 1e-5 to 1e-4', low=1e-7,
        high=1e-2,
    )


@dataclass(frozen=True, slots=True)
class ScratchConfig:
    """The first rig without extrinsics: which joints fit, and which pairs of cameras may begin."""

    inlier_error: float = setting(
        0.025, 'Distance, in extents of the person, within which a keypoint fits two cameras; detectors err by 0.01 to '
        '0.02', low=0.001, high=0.2,
    )
    least_inliers: float = setting(
        0.35, 'Share of the joints that must fit; of two different people far fewer do', low=0.05, high=1.0
    )
    least_parallax_rad: float = setting(
        0.08, 'Angle between two cameras\' rays below which the depth is unknown', unit='rad', low=0.001, high=1.5
    )


@dataclass(frozen=True, slots=True)
class CalibrateConfig:
    """Everything from keypoints to a rig."""

    min_confidence: float = setting(0.3, 'Keypoints below this are not used', low=0.0, high=1.0)
    max_gap_s: float = setting(
        0.5, 'A person not detected for longer is linked no more: another may stand there by then', unit='s', low=0.05,
        high=10.0,
    )
    max_step: float = setting(
        0.35, 'Median distance of the joints, in extents of the person, by which one moves at most between two '
        'detections', low=0.05, high=2.0,
    )
    instants: int = setting(
        400, 'Most instants of the recording that enter; more cost time and say little new, as detectors err alike in '
        'successive images', low=20, high=20_000,
    )
    kept_aside: float = setting(
        0.2, 'Share of the recording that the result is judged on and that does not enter', low=0.05, high=0.5
    )
    least_poses: int = setting(
        4, 'Clearly different poses or positions that people must take up; fewer cannot tell a detector\'s habits from '
        'the cameras\' errors', low=1, high=10_000,
    )
    pose_change: float = setting(
        0.06, 'Median distance of the joints, in extents of the person, that makes a pose a different one', low=0.01,
        high=1.0,
    )
    least_shared: int = setting(
        30, 'Instants that a camera must share with others', low=2, high=100_000
    )
    least_seen_s: float = setting(
        5.0, 'Time in which two cameras see people; in less, a detector\'s errors are the same all along', unit='s',
        low=0.0, high=3600.0,
    )
    least_way_m: float = setting(
        1.0, 'Distance between the places where people are', unit='m', low=0.0, high=1000.0
    )
    least_cover: float = setting(
        0.03, 'Share of its image in which a camera sees people', low=0.0, high=1.0
    )
    least_gain: float = setting(
        0.02, 'Share of its error on the instants kept aside that a rig must lose to replace the given one', low=0.0,
        high=0.9,
    )
    most_size_change: float = setting(
        0.01, 'Relative change of people\'s size that a rig may bring, if no length is given', low=1e-4, high=1.0
    )
    most_sigma_focal: float = setting(
        0.02, 'A focal length that stays less certain than this is not determined', low=1e-4, high=1.0
    )
    most_sigma_rad: float = setting(
        0.03, 'A camera whose rotation stays less certain than this is not determined', unit='rad', low=1e-4, high=1.0
    )
    most_sigma: float = setting(
        0.05, 'The same of its position, in distances from the people', low=1e-4, high=1.0
    )
    focal_error: float = setting(
        0.06, 'Relative difference from the given focal length, if clearly measured, that says the intrinsics are '
        'wrong', low=0.001, high=1.0, formerly='focal_doubt',
    )
    clock_jump_s: float = setting(
        0.08, 'Two halves of a recording whose clock offsets differ by more say that a clock jumps', unit='s',
        low=0.001, high=10.0,
    )
    clock_jump_sigmas: float = setting(
        5.0, 'The same in standard deviations of the difference; both must be exceeded', low=1.0, high=100.0
    )
    most_error: float = setting(
        0.05, 'Median error on the instants kept aside, in extents of the people, from which on views, people or times '
        'do not fit together', low=0.001, high=1.0,
    )
    most_camera_error: float = setting(
        0.15, 'The same of a single camera against what the others see', low=0.001, high=1.0
    )
    least_person_instants: int = setting(
        10, 'Instants at which two cameras must see a person, or it is left out', low=1, high=1000
    )
    same_person_m: float = setting(
        0.6, 'Largest median distance between the rays of two cameras to one person, under the calibration given',
        unit='m', low=0.01, high=10.0,
    )
    adjust: AdjustConfig = field(default_factory=AdjustConfig)
    scratch: ScratchConfig = field(default_factory=ScratchConfig)


@dataclass(frozen=True, slots=True)
class WatchConfig:
    """What a running node does about its calibration."""

    watch: bool = setting(
        True, 'Keep what the cameras saw of people lately, and offer the service calibrate, where cameras stand'
    )
    apply: str = setting(
        'propose', 'What the service does with a better rig: propose writes it to out, apply goes on with it too',
        choices=('propose', 'apply'),
    )
    out: str = setting(
        '~/.ros/geo_pose_rig.yaml', 'Rig file that the service writes, or replaces: .yaml, .toml or .qca.txt. The rig '
        'file in use is never replaced: proposed_<its name> is written beside it',
    )
    window_s: float = setting(60.0, 'What was seen longer ago is forgotten', unit='s', low=5.0, high=3600.0)
    most_sets: int = setting(
        2000, 'Most sets that are kept, about 10 kB each with four cameras and two people', low=50, high=100_000
    )
