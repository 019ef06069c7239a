"""The whole way from real footage to bodies, over live ROS 2 topics."""
