"""DiagnosticArray."""

from geo_pose_ros.messages.diagnostics import Level, Status, diagnostics_from_message, diagnostics_to_message
from geo_pose_ros.messages.stamps import stamp_of


def test_diagnostics(library):
    statuses = [Status('camera left', Level.ERROR, 'silent', {'rate_hz': '0.0', 'age_s': '3'}),
                Status('rig', Level.OK, 'ok', {})]
    sent = diagnostics_to_message(library.make, 'pose_node', statuses, 1_500_000_000)
    message = library.wire(sent, 'diagnostic_msgs/msg/DiagnosticArray')
    assert stamp_of(message) == 1_500_000_000
    camera, rig = message.status
    levels = [level if isinstance(level, int) else level[0] for level in (camera.level, rig.level)]
    assert levels == [2, 0]
    assert (camera.name, camera.hardware_id, camera.message) == ('pose_node: camera left', 'pose_node', 'silent')
    assert {pair.key: pair.value for pair in camera.values} == {'rate_hz': '0.0', 'age_s': '3'}
    assert (rig.name, len(rig.values)) == ('pose_node: rig', 0)


def test_statuses_of_one_node_and_of_all(library):
    left, odd = Status('camera left', Level.ERROR, 'silent: 3 s', {'age_s': '3'}), Status('motor', Level.STALE, '', {})
    message = diagnostics_to_message(library.make, 'pose_node', [left], 0)
    message.status += diagnostics_to_message(library.make, 'base', [odd], 0).status
    message = library.wire(message, 'diagnostic_msgs/msg/DiagnosticArray')
    assert diagnostics_from_message(message) == [left, odd]
    assert diagnostics_from_message(message, 'pose_node') == [left]
