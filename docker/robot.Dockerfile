# A robot: ROS 2 Jazzy with apt's numpy and OpenCV, and what apt lacks in a virtual environment. Not built where this was
# written: there is no Docker engine there. From the root of the repository:
#   docker build -f docker/robot.Dockerfile -t geo_pose_ros:robot .
#   docker run --rm -it --network host --ipc host geo_pose_ros:robot
FROM ros:jazzy
SHELL ["/bin/bash", "-c"]
RUN apt-get update && apt-get install -y --no-install-recommends \
        python3-venv python3-colcon-common-extensions ros-jazzy-cv-bridge ros-jazzy-compressed-image-transport \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /workspace
COPY . src/geo_pose_ros
RUN apt-get update && . /opt/ros/jazzy/setup.bash \
    && src/geo_pose_ros/tools/install_robot.sh --apt venv \
    && . venv/bin/activate && colcon build --packages-select geo_pose_ros \
    && rm -rf /var/lib/apt/lists/*
CMD . /opt/ros/jazzy/setup.bash && . venv/bin/activate && . install/setup.bash \
    && ros2 launch geo_pose_ros geo_pose.launch.py
