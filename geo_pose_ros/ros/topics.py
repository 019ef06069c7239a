"""Which topics a camera publishes on, by transport."""

from __future__ import annotations

from rclpy.exceptions import InvalidTopicNameException
from rclpy.validate_full_topic_name import validate_full_topic_name
from rclpy.validate_topic_name import validate_topic_name

from ..config import NodeConfig
from ..errors import ConfigError

# Transport -> type of its messages.
MESSAGE_TYPES = {
    'raw': 'sensor_msgs/msg/Image', 'compressed': 'sensor_msgs/msg/CompressedImage',
    'keypoints': 'sensor_msgs/msg/PointCloud2',
}


def input_topic(config: NodeConfig, camera: str, transport: str = '') -> str:
    """Return the topic that ``camera`` publishes by ``transport`` ('': the configured one)."""
    transport = transport or config.transport
    topic = fill(config.keypoints_topic if transport == 'keypoints' else config.image_topic, camera)
    return f'{topic}/compressed' if transport == 'compressed' else topic


def fill(template: str, camera: str) -> str:
    """Return the topic of ``camera``.

    Raises:
        ConfigError: if the template has other fields than {camera}, or no topic name comes of it.
    """
    try:
        topic = template.format(camera=camera)
    except (KeyError, IndexError, ValueError) as error:
        raise ConfigError(f"Topic template '{template}': {error!r}; the only field is {{camera}}.") from error
    try:
        validate_topic_name(topic)
        if topic.startswith('/'):
            # Finds // too.
            validate_full_topic_name(topic)
    except InvalidTopicNameException as error:
        reason = ' '.join(str(error).split())
        raise ConfigError(f"Camera '{camera}', topic template '{template}': {reason}. Rename it.") from error
    return topic
