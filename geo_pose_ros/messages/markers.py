# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Bodies3D -> visualization_msgs/MarkerArray for RViz: spheres at the joints, lines along the bones."""

from __future__ import annotations

from collections.abc import Collection
from math import isfinite

import numpy as np

from ..arrays import NS_PER_S
from ..colours import joint_colours
from ..types import Bodies3D
from .clouds.bodies import check_body_ids
from .factory import Message, MessageFactory
from .stamps import to_header
from .transforms import to_vector

# visualization_msgs/Marker constants.
_LINE_LIST, _SPHERE_LIST, _ADD, _DELETE = 5, 7, 0, 2
_NAMESPACES = ('joints', 'bones')
_SPHERE_M, _LINE_M = 0.06, 0.025
# The least visible joint is still seen.
_MIN_ALPHA = 0.25


def bodies_to_markers(
    make: MessageFactory, bodies: Bodies3D, previous_ids: Collection[int] = (), lifetime_s: float = 0.5
) -> Message:
    """Return `~/markers`: per body one sphere list (ns joints) and one line list (ns bones), id = body id.

    A body has the colour of its id, its left side lighter, its right side darker; alpha grows with the confidence.
    Unknown joints and their bones are left out.

    Args:
        previous_ids: body ids of the last message; those that are gone are deleted.
        lifetime_s: after this RViz removes a marker that was not renewed (the node died); 0: never.

    Raises:
        ShapeError: for a body id outside 0 .. 2^31 - 1.
    """
    check_body_ids(bodies.body_ids)
    header = to_header(make, bodies.stamp_ns, bodies.frame_id)
    seconds, nanoseconds = divmod(round(lifetime_s * NS_PER_S), NS_PER_S)
    lifetime = make('builtin_interfaces/msg/Duration', sec=seconds, nanosec=nanoseconds)
    pose = make('geometry_msgs/msg/Pose', orientation=make('geometry_msgs/msg/Quaternion', w=1.0))
    sphere, line = (to_vector(make, np.full(3, scale)) for scale in (_SPHERE_M, _LINE_M))
    edges = bodies.skeleton.edges
    alpha = np.clip(bodies.confidence, _MIN_ALPHA, 1.0).tolist()
    markers, shown = [], set()
    for body_id, xyz, alphas in zip(bodies.body_ids.tolist(), bodies.xyz.tolist(), alpha, strict=True):
        points, rgba = {}, {}
        colours = (joint_colours(bodies.skeleton, body_id) / 255.0).tolist()
        for joint, ((x, y, z), (r, g, b), a) in enumerate(zip(xyz, colours, alphas, strict=True)):
            if isfinite(x) and isfinite(y) and isfinite(z):
                points[joint] = make('geometry_msgs/msg/Point', x=x, y=y, z=z)
                rgba[joint] = make('std_msgs/msg/ColorRGBA', r=r, g=g, b=b, a=a)
        bones = [edge for edge in edges if edge[0] in points and edge[1] in points]
        # A bone has the colour of its outer joint, so that arms and legs are left or right up to the trunk.
        for namespace, kind, scale, drawn, painted in (
            ('joints', _SPHERE_LIST, sphere, [*points], [*points]),
            ('bones', _LINE_LIST, line, [j for edge in bones for j in edge], [j for _, j in bones for _ in (0, 1)]),
        ):
            if not drawn:
                continue
            shown.add((namespace, body_id))
            markers.append(
                make(
                    'visualization_msgs/msg/Marker', header=header, ns=namespace, id=body_id, type=kind, action=_ADD,
                    pose=pose, scale=scale, lifetime=lifetime, points=[points[j] for j in drawn],
                    colors=[rgba[j] for j in painted],
                )
            )
    known = {*previous_ids, *bodies.body_ids.tolist()}
    gone = [(namespace, i) for i in sorted(known) for namespace in _NAMESPACES if (namespace, i) not in shown]
    markers += [
        make('visualization_msgs/msg/Marker', header=header, ns=namespace, id=int(i), action=_DELETE)
        for namespace, i in gone
    ]
    return make('visualization_msgs/msg/MarkerArray', markers=markers)
