"""Fine-tuning of BlazePose's keypoint network on the cameras of a robot: their fused bodies are its labels."""
