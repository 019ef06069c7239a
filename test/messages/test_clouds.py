# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""~/bodies, ~/details, ~/keypoints and ~/expected as PointCloud2."""

import copy
from dataclasses import replace

import numpy as np
import pytest

from geo_pose_ros.errors import ShapeError
from geo_pose_ros.messages.clouds.bodies import BODIES_DTYPE, bodies_from_cloud, bodies_to_cloud
from geo_pose_ros.messages.clouds.details import details_to_cloud, with_details
from geo_pose_ros.messages.clouds.keypoints import keypoints_from_cloud, keypoints_to_cloud
from geo_pose_ros.messages.clouds.predictions import predicted_from_cloud, predicted_to_cloud
from geo_pose_ros.skeleton import BODY17, HALPE26
from geo_pose_ros.types import Bodies3D, Keypoints2D, PredictedPeople

from .conftest import rclpy_library, rosbags_library

CLOUD = 'sensor_msgs/msg/PointCloud2'
STAMP_NS = 1_700_000_000_123_456_789


def some_bodies() -> Bodies3D:
    rng = np.random.default_rng(3)
    xyz = rng.normal(0.0, 2.0, (2, 17, 3))
    xyz[1, 4] = np.nan
    variance = rng.uniform(1e-5, 1e-3, (2, 17, 3))
    reprojection = rng.uniform(0.0, 20.0, (2, 17))
    reprojection[1, 4] = np.nan
    return Bodies3D(
        STAMP_NS, 'world', BODY17, xyz, variance[..., None] * np.eye(3), rng.uniform(0.0, 1.0, (2, 17)),
        rng.integers(0, 5, (2, 17)), reprojection, np.array([7, 2_000_000_000]),
    )


def test_bodies_round_trip(library):
    bodies = some_bodies()
    message = library.wire(bodies_to_cloud(library.make, bodies), CLOUD)
    assert (message.height, message.width, message.point_step, message.row_step) == (2, 17, 32, 17 * 32)
    assert message.is_dense is False and message.is_bigendian is False
    assert [(f.name, f.offset, f.datatype, f.count) for f in message.fields] == [
        ('x', 0, 7, 1), ('y', 4, 7, 1), ('z', 8, 7, 1), ('confidence', 12, 7, 1), ('sigma', 16, 7, 1),
        ('reprojection_error', 20, 7, 1), ('num_views', 24, 2, 1), ('joint', 25, 2, 1), ('body_id', 28, 6, 1),
    ]  # fmt: skip
    back = bodies_from_cloud(message)
    assert (back.stamp_ns, back.frame_id, back.skeleton) == (STAMP_NS, 'world', BODY17)
    np.testing.assert_array_equal(back.xyz, bodies.xyz.astype(np.float32))
    np.testing.assert_array_equal(back.confidence, bodies.confidence.astype(np.float32))
    np.testing.assert_array_equal(back.reprojection_error, bodies.reprojection_error.astype(np.float32))
    np.testing.assert_array_equal(back.num_views, bodies.num_views)
    np.testing.assert_array_equal(back.body_ids, bodies.body_ids)
    # sigma = sqrt(trace / 3), so the trace survives.
    np.testing.assert_allclose(
        np.trace(back.covariance, axis1=2, axis2=3), np.trace(bodies.covariance, axis1=2, axis2=3), rtol=1e-6
    )
    nobody = library.wire(bodies_to_cloud(library.make, Bodies3D.empty(5, 'map', BODY17)), CLOUD)
    assert (nobody.height, nobody.width, len(nobody.data), nobody.is_dense) == (0, 17, 0, True)
    back = bodies_from_cloud(nobody)
    assert len(back) == 0 and back.frame_id == 'map' and back.stamp_ns == 5


def with_points(library, message, points):
    """Return ``message`` with other points of the same fields."""
    return library.make(
        CLOUD, header=message.header, height=message.height, width=17, fields=message.fields,
        point_step=message.point_step, row_step=message.row_step, data=np.frombuffer(points.tobytes(), np.uint8),
    )


def test_details_carry_the_rest(library):
    rng = np.random.default_rng(5)
    factors = rng.normal(0.0, 0.02, (2, 17, 3, 3))
    covariance = factors @ np.swapaxes(factors, -1, -2)
    covariance[1, 4] = np.nan
    velocity = rng.normal(size=(2, 17, 3)).astype(np.float32)
    age_s = rng.random((2, 17)).astype(np.float32)
    views = rng.integers(0, 1 << 32, (2, 17))
    bodies = replace(some_bodies(), covariance=covariance, velocity=velocity, age_s=age_s, views=views | (1 << 40))
    message = library.wire(details_to_cloud(library.make, bodies), CLOUD)
    assert (message.height, message.width, message.is_dense, message.header.frame_id) == (2, 17, False, 'world')
    plain = bodies_from_cloud(library.wire(bodies_to_cloud(library.make, bodies), CLOUD))
    back = with_details(plain.select(np.array([False, True])), message)
    np.testing.assert_allclose(back.covariance, covariance[1:], rtol=1e-6)
    np.testing.assert_array_equal(back.velocity, velocity[1:])
    np.testing.assert_array_equal(back.age_s, age_s[1:])
    np.testing.assert_array_equal(back.views, views[1:])
    with pytest.raises(ShapeError, match=r'Details message: lacks the bodies \[3\]; it has \[7, 2000000000\]'):
        with_details(replace(plain, body_ids=np.array([7, 3])), message)
    with pytest.raises(ShapeError, match='Body ids'):
        details_to_cloud(library.make, replace(bodies, body_ids=np.array([-1, 2])))
    nobody = Bodies3D.empty(5, 'map', BODY17)
    assert with_details(nobody, details_to_cloud(library.make, nobody)).covariance.shape == (0, 17, 3, 3)
    message.width, message.row_step = 16, 16 * message.point_step
    message.data = message.data[: 2 * message.row_step]
    with pytest.raises(ShapeError, match='Details message: received width 16, expected 17'):
        with_details(plain, message)


def test_big_endian_and_reordered_fields_are_read(library):
    bodies = some_bodies()
    message = bodies_to_cloud(library.make, bodies)
    # The same points as another publisher might lay them out: big-endian, doubles, another order, padding.
    layout = np.dtype([(name, '>f8' if name in 'xyz' else '>f4') for name in reversed(BODIES_DTYPE.names[:6])]
                      + [('num_views', 'u1'), ('joint', 'u1'), ('body_id', '>u4'), ('pad', 'V5')])
    points = np.frombuffer(message.data, BODIES_DTYPE).reshape(2, 17)
    other = np.zeros((2, 17), layout)
    for name in BODIES_DTYPE.names:
        other[name] = points[name]
    datatypes = {'>f8': 8, '>f4': 7, '|u1': 2, '>u4': 6}
    fields = [
        library.make('sensor_msgs/msg/PointField', name=name, offset=layout.fields[name][1],
                     datatype=datatypes[layout.fields[name][0].str], count=1)
        for name in BODIES_DTYPE.names
    ]
    rewritten = library.make(
        CLOUD, header=message.header, height=2, width=17, fields=fields, is_bigendian=True,
        point_step=layout.itemsize, row_step=layout.itemsize * 17, data=np.frombuffer(other.tobytes(), np.uint8),
    )
    np.testing.assert_array_equal(bodies_from_cloud(library.wire(rewritten, CLOUD)).xyz, bodies_from_cloud(message).xyz)


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        (lambda m: m.fields.pop(4), r"the cloud lacks \['sigma'\]; it has \['body_id'"),
        (lambda m: setattr(m, 'height', 3), 'received 1088 bytes for height 3, width 17'),
        (lambda m: setattr(m.fields[0], 'datatype', 9), r"unknown PointField datatypes \{'x': 9\}"),
        (lambda m: setattr(m.fields[0], 'offset', 30), 'overrun its point_step 32'),
    ],
    ids=['field', 'height', 'datatype', 'offset'],
)
def test_damaged_clouds_are_refused(library, change, reason):
    # Clouds of a kind share their fields.
    message = copy.deepcopy(bodies_to_cloud(library.make, some_bodies()))
    change(message)
    with pytest.raises(ShapeError, match=f'Bodies message: .*{reason}'):
        bodies_from_cloud(message)


def test_other_bodies_are_refused(library):
    message = bodies_to_cloud(library.make, some_bodies())
    with pytest.raises(ShapeError, match="received width 17, expected 26 joints of skeleton 'halpe26'"):
        bodies_from_cloud(message, HALPE26)
    points = np.frombuffer(bytes(message.data), BODIES_DTYPE).copy()
    points['body_id'][3] = 99
    with pytest.raises(ShapeError, match='a row holds several body ids'):
        bodies_from_cloud(with_points(library, message, points))
    points['joint'][3] = 99
    with pytest.raises(ShapeError, match=r'received joints \[0, 1, 2, 99, .*expected 0 \.\. 16 of skeleton'):
        bodies_from_cloud(with_points(library, message, points))
    for body_id in (-1, 2**31):
        with pytest.raises(ShapeError, match=rf'Body ids \[1, {body_id}\]: expected 0 \.\. 2\^31 - 1'):
            bodies_to_cloud(library.make, replace(some_bodies(), body_ids=np.array([1, body_id])))


def some_keypoints() -> Keypoints2D:
    rng = np.random.default_rng(4)
    xy = rng.uniform(0.0, 2000.0, (3, 17, 2))
    xy[2, 5] = np.nan
    confidence = rng.uniform(0.0, 1.0, (3, 17))
    confidence[2, 5] = 0.0
    return Keypoints2D('left', STAMP_NS, BODY17, xy, confidence)


def test_keypoints_round_trip(library):
    keypoints = some_keypoints()
    message = library.wire(keypoints_to_cloud(library.make, keypoints, 'left_optical_frame'), CLOUD)
    assert message.header.frame_id == 'left_optical_frame'
    assert (message.height, message.width, message.point_step) == (3, 17, 12)
    assert [field.name for field in message.fields] == ['u', 'v', 'confidence']
    back = keypoints_from_cloud(message, 'left')
    assert (back.camera, back.stamp_ns, back.skeleton) == ('left', STAMP_NS, BODY17)
    np.testing.assert_array_equal(back.xy, keypoints.xy.astype(np.float32))
    np.testing.assert_array_equal(back.confidence, keypoints.confidence.astype(np.float32))


def test_half_seen_keypoint_is_not_seen(library):
    message = keypoints_to_cloud(library.make, some_keypoints(), 'f')
    points = np.frombuffer(bytes(message.data), np.float32).reshape(3, 17, 3).copy()
    points[0, 2, 1] = np.nan
    points[0, 3, 0] = np.inf
    back = keypoints_from_cloud(with_points(library, message, points), 'left')
    assert np.isnan(back.xy[0, 2:4]).all() and (back.confidence[0, 2:4] == 0.0).all()


def test_libraries_read_each_other():
    a, b = rosbags_library(), rclpy_library()
    raw = a.dump(bodies_to_cloud(a.make, some_bodies()), CLOUD)
    np.testing.assert_array_equal(bodies_from_cloud(b.load(raw, CLOUD)).xyz, bodies_from_cloud(a.load(raw, CLOUD)).xyz)
    raw = b.dump(bodies_to_cloud(b.make, some_bodies()), CLOUD)
    np.testing.assert_array_equal(bodies_from_cloud(a.load(raw, CLOUD)).body_ids, [7, 2_000_000_000])


def test_hints_travel_only_where_they_are_asked_for(library):
    given = Keypoints2D('cam0', 5, BODY17, np.ones((3, 17, 2)), np.ones((3, 17)), np.array([4, -1, 2_000_000_000]))
    cloud = keypoints_to_cloud(library.make, given, '', hints=True)
    assert keypoints_from_cloud(cloud, 'cam0').hints.tolist() == [4, -1, 2_000_000_000]
    # 30 Hz: within 15 kB/s per camera and person, header and fields included.
    assert len(cloud.data) / 3 == 17 * 16
    assert keypoints_from_cloud(keypoints_to_cloud(library.make, given, ''), 'cam0').hints.tolist() == [-1] * 3


def test_predicted_people_round_trip(library):
    xy, sigma = np.arange(68.0).reshape(2, 17, 2), np.full((2, 17), 1.5)
    xy[0, 3], sigma[0, 3:7] = np.nan, (np.nan, np.inf, 0.0, -3.0)
    given = PredictedPeople('cam0', 12_345, BODY17, xy, sigma, np.array([70_000, 70_001]))
    cloud = library.wire(predicted_to_cloud(library.make, given, 'optical'), CLOUD)
    assert (cloud.height, cloud.width, cloud.header.frame_id, cloud.is_dense) == (2, 17, 'optical', False)
    found = predicted_from_cloud(cloud, 'cam0')
    assert (found.camera, found.stamp_ns, found.body_ids.tolist()) == ('cam0', 12_345, [70_000, 70_001])
    # A joint without a usable sigma is unknown.
    xy[0, 3:7], sigma[0, 3:7] = np.nan, np.nan
    np.testing.assert_array_equal(found.xy, xy)
    np.testing.assert_array_equal(found.sigma_px, sigma)
    nobody = PredictedPeople('cam0', 0, BODY17, xy[:0], sigma[:0], np.zeros(0, np.int64))
    assert len(predicted_from_cloud(predicted_to_cloud(library.make, nobody, ''), 'cam0')) == 0
    plain = keypoints_to_cloud(library.make, some_keypoints(), '')
    with pytest.raises(ShapeError, match=r"camera 'cam0': the cloud lacks \['sigma', 'body_id'\]"):
        predicted_from_cloud(plain, 'cam0')
