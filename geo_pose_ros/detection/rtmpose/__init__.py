"""RTMPose, RTMO and YOLOX, from models of rtmlib."""
