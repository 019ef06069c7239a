"""The only place that sees rclpy."""
