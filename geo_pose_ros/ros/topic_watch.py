"""Why nothing may come from a camera's topic: nobody publishes, another type, another quality of service."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible

from .qos import explain_incompatible
from .topics import MESSAGE_TYPES, CameraTopics


class TopicWatch:
    """Looks at who publishes on the cameras' topics."""

    def __init__(self, node: Any, topics: Mapping[str, CameraTopics], transport: str, qos: QoSProfile) -> None:
        """Watch ``topics`` by camera, subscribed to by ``transport`` with ``qos``."""
        self._node, self._topics, self._transport, self._qos = node, topics, transport, qos
        self._incompatible: dict[str, str] = {}

    def incompatible(self, camera: str, event: Any) -> None:
        """Take an incompatible-QoS event of the subscription to ``camera``."""
        self._incompatible[camera] = explain_incompatible(self._topics[camera].frames, event)

    def notes(self, away: Collection[str]) -> dict[str, dict[str, str]]:
        """Return by camera what is wrong with its topic, by kind; of cameras that are not ``away``, only the QoS."""
        return {
            name: {
                **({'qos': text} if (text := self._qos_note(name)) else {}),
                **({'topic': text} if name in away and (text := self._topic_note(name)) else {}),
            }
            for name in self._topics
        }

    def _qos_note(self, camera: str) -> str:
        """Return the last event in words, until no incompatible publisher is left."""
        text = self._incompatible.get(camera, '')
        if not text:
            return ''
        offered = self._node.get_publishers_info_by_topic(self._topics[camera].frames)
        verdicts = [qos_check_compatible(info.qos_profile, self._qos)[0] for info in offered]
        if QoSCompatibility.ERROR not in verdicts:
            del self._incompatible[camera]
            return ''
        return text

    def _topic_note(self, camera: str) -> str:
        expected = MESSAGE_TYPES[self._transport]
        types = self._types(self._topics[camera].frames)
        if not types:
            return f'nobody publishes it{self._elsewhere(camera)}'
        return '' if expected in types else f'it holds {", ".join(sorted(types))}, expected {expected}'

    def _elsewhere(self, camera: str) -> str:
        """Return a hint if the camera publishes by another transport."""
        for transport, topic in self._topics[camera].by_transport.items():
            if transport != self._transport and MESSAGE_TYPES[transport] in self._types(topic):
                return f", but '{topic}' is there: set transport:={transport}"
        return '; check the topic names and that the driver runs'

    def _types(self, topic: str) -> set[str]:
        return {info.topic_type for info in self._node.get_publishers_info_by_topic(topic)}
