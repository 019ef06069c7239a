"""DiagnosticArray."""

from geo_pose_ros.messages.diagnostics import Level, Status, diagnostics_from_message, diagnostics_to_message
from geo_pose_ros.messages.stamps import stamp_of


def test_diagnostics(library):
    left = Status('camera left', Level.ERROR, 'silent: 3 s', {'rate_hz': '0.0', 'age_s': '3'})
    rig, odd = Status('rig', Level.OK, 'ok', {}), Status('motor', Level.STALE, '', {})
    message = diagnostics_to_message(library.make, 'pose_node', [left, rig], 1_500_000_000)
    message.status += diagnostics_to_message(library.make, 'base', [odd], 0).status
    message = library.wire(message, 'diagnostic_msgs/msg/DiagnosticArray')
    assert stamp_of(message) == 1_500_000_000
    camera = message.status[0]
    levels = [s.level if isinstance(s.level, int) else s.level[0] for s in message.status]
    assert levels == [2, 0, 3]
    assert (camera.name, camera.hardware_id, camera.message) == ('pose_node: camera left', 'pose_node', 'silent: 3 s')
    assert {pair.key: pair.value for pair in camera.values} == {'rate_hz': '0.0', 'age_s': '3'}
    assert diagnostics_from_message(message) == [left, rig, odd]
    assert diagnostics_from_message(message, 'pose_node') == [left, rig]
