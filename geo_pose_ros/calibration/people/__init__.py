"""Who a recording shows: detections linked over time, matched across cameras, and sampled at common instants."""
