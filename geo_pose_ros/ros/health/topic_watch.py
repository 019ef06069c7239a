"""Why nothing may come from a camera's topic: nobody publishes, another type, another quality of service."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible

from ..io.qos import explain_incompatible
from ..io.topics import MESSAGE_TYPES, CameraTopics


class TopicWatch:
    """Looks at who publishes on the cameras' topics."""

    def __init__(self, node: Any, topics: Mapping[str, CameraTopics], qos: QoSProfile) -> None:
        """Watch ``topics`` by camera, subscribed to with ``qos``."""
        self._node, self._topics, self._qos = node, topics, qos
        self._incompatible: dict[str, str] = {}

    def use_topics(self, topics: Mapping[str, CameraTopics]) -> None:
        """Watch other ``topics`` by camera."""
        self._incompatible = {
            name: text for name, text in self._incompatible.items() if topics.get(name) == self._topics[name]
        }
        self._topics = topics

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
        expected = MESSAGE_TYPES[self._topics[camera].transport]
        types = self._types(self._topics[camera].frames)
        if not types:
            return f'nobody publishes it{self._elsewhere(camera)}'
        return '' if expected in types else f'it holds {", ".join(sorted(types))}, expected {expected}'

    def _elsewhere(self, camera: str) -> str:
        """Return a hint if the camera publishes by another transport."""
        for transport, topic in self._topics[camera].by_transport.items():
            if transport != self._topics[camera].transport and MESSAGE_TYPES[transport] in self._types(topic):
                return f", but '{topic}' is there: set transport:={transport}"
        return '; check the topic names and that the driver runs'

    def _types(self, topic: str) -> set[str]:
        return {info.topic_type for info in self._node.get_publishers_info_by_topic(topic)}
