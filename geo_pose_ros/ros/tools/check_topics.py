# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Checks of what is published now: cameras, their QoS, their camera_info, and who listens."""

from __future__ import annotations

import time
from collections.abc import Iterator

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from rclpy.subscription import Subscription

from ...errors import GeoPoseError
from ...findings import Finding, Severity, Verdict
from ...messages.camera_info import intrinsics_from_camera_info
from ...messages.diagnostics import DIAGNOSTIC_ARRAY, diagnostics_from_message, verdict_from_statuses
from ...messages.factory import Message
from ...rigs.topics import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE
from ..io.message_factory import message_class
from ..io.qos import ignore, profile, waiting_messages
from .standalone import standalone_node


def check_topics(listen_s: float) -> Iterator[Finding]:
    """Look at the graph and listen to every camera_info for ``listen_s`` seconds."""
    with standalone_node('geo_pose_doctor') as node:
        yield from check_graph(node, listen_s)


def check_graph(node: Node, listen_s: float) -> Iterator[Finding]:
    """Check what ``node`` sees of others within ``listen_s`` seconds, and say what running nodes say of themselves."""
    verdicts = Verdicts()
    heard = node.create_subscription(message_class(DIAGNOSTIC_ARRAY), '/diagnostics', ignore, profile(20))
    kinds, infos = _listen(node, listen_s)
    for message, _ in waiting_messages(heard):
        verdicts.take(message)
    node.destroy_subscription(heard)
    yield from verdicts.findings()
    published = [
        topic for topic, kind in kinds.items()
        if kind in (IMAGE, COMPRESSED_IMAGE) and '/annotated/' not in topic and node.get_publishers_info_by_topic(topic)
    ]
    if not published:
        yield Finding(Severity.WARNING, 'no camera publishes images',
                        'Start the drivers, with the same ROS_DOMAIN_ID and discovery range.')
    for topic in sorted(published):
        yield from _check_publishers(node, topic)
    for topic in sorted(topic for topic, kind in kinds.items() if kind == CAMERA_INFO):
        yield from _check_info(topic, infos.get(topic))


class Verdicts:
    """The last verdict of every node that says one."""

    def __init__(self) -> None:
        """Begin without one."""
        self._by_node: dict[str, Verdict] = {}

    def take(self, message: Message) -> None:
        """Take a DiagnosticArray, which one node sent."""
        verdict = verdict_from_statuses(diagnostics_from_message(message))
        if verdict is not None:
            self._by_node[str(message.status[0].name).partition(': ')[0]] = verdict

    def findings(self) -> Iterator[Finding]:
        """Yield what the nodes found, and of a node that found nothing its headline."""
        for node, verdict in sorted(self._by_node.items()):
            if verdict.severity:
                yield from verdict.findings
            else:
                yield Finding(Severity.OK, f'{node}: {verdict.in_words}')


def _listen(node: Node, listen_s: float) -> tuple[dict[str, str], dict[str, Message]]:
    """Return the type of every topic, and the last camera_info of those that have one, after ``listen_s`` seconds."""
    kinds: dict[str, str] = {}
    infos: dict[str, Message] = {}
    subscriptions: dict[str, Subscription[Message]] = {}
    ends_s = time.monotonic() + listen_s
    while time.monotonic() < ends_s:
        kinds = {name: types[0] for name, types in node.get_topic_names_and_types() if types}
        for topic, kind in kinds.items():
            if kind == CAMERA_INFO and topic not in subscriptions:
                subscriptions[topic] = node.create_subscription(
                    message_class(kind), topic, ignore, profile(1, reliable=False)
                )
        for topic, subscription in subscriptions.items():
            for message, _ in waiting_messages(subscription):
                infos[topic] = message
        time.sleep(0.02)
    for subscription in subscriptions.values():
        node.destroy_subscription(subscription)
    return kinds, infos


def _check_publishers(node: Node, topic: str) -> Iterator[Finding]:
    publishers = node.get_publishers_info_by_topic(topic)
    names = ', '.join(sorted({f'{one.node_namespace.rstrip("/")}/{one.node_name}' for one in publishers}))
    if len(publishers) > 1:
        yield Finding(Severity.ERROR, f'{topic} has {len(publishers)} publishers ({names}); their images are mixed',
                        'Give each driver its own namespace.')
        return
    reliable = publishers[0].qos_profile.reliability == ReliabilityPolicy.RELIABLE
    words = f'{topic}: {"reliable" if reliable else "best effort"}, from {names}'
    deaf = [
        one.node_name for one in node.get_subscriptions_info_by_topic(topic)
        if (one.qos_profile.reliability == ReliabilityPolicy.RELIABLE and not reliable)
        or (one.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
            and publishers[0].qos_profile.durability != DurabilityPolicy.TRANSIENT_LOCAL)
    ]
    if deaf:
        yield Finding(Severity.ERROR, f'{words}; {", ".join(sorted(set(deaf)))} asks for more and receives nothing',
                        'Set reliability:=best_effort there, or reliable at the driver.')
    else:
        yield Finding(Severity.OK, words)


def _check_info(topic: str, message: Message | None) -> Iterator[Finding]:
    if message is None:
        yield Finding(Severity.WARNING, f'{topic}: nothing came',
                        'Does its driver run, and publish it with each image?')
        return
    camera = topic.rsplit('/', 2)[-2] or topic
    try:
        lens = intrinsics_from_camera_info(message, camera)
    except GeoPoseError as error:
        yield Finding(Severity.ERROR, f'{topic}: {error}', 'Calibrate the camera, or give a rig file.')
        return
    yield Finding(Severity.OK, f'{topic}: {lens.width}x{lens.height} px, {lens.distortion_model}')
