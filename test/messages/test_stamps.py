"""Nearest stamps."""

from geo_pose_ros.messages.stamps import nearest_indices


def test_nearest_indices():
    """Before all, between, in the middle (the earlier one), at the edge of what is near, too far."""
    stamps_ns = [10, 20, 40]
    assert nearest_indices(stamps_ns, [7, 14, 15, 16, 43, 44], 3).tolist() == [0, -1, -1, -1, 2, -1]
    assert nearest_indices(stamps_ns, [14, 15, 16, 30, 31], 10).tolist() == [0, 0, 1, 1, 2]
    assert nearest_indices([5], [4, 9], 2).tolist() == [0, -1]
    assert nearest_indices([], [4, 9], 2).tolist() == [-1, -1]
