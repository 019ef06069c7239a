# A workstation without ROS: videos in, a table out. Not built where this was written: there is no Docker engine there.
# From the root of the repository:
#   docker build -f docker/workstation.Dockerfile -t geo_pose_ros:workstation .
#   docker run --rm -it -v "$PWD:/data" -p 8080:8080 geo_pose_ros:workstation geo_pose --help
FROM python:3.12-slim
COPY . /geo_pose_ros
RUN pip install --no-cache-dir '/geo_pose_ros[view]' && geo_pose doctor || true
WORKDIR /data
CMD ["geo_pose", "--help"]
