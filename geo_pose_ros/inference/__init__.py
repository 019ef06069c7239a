"""Neural networks behind one protocol: ONNX Runtime and TensorRT, and the card each model carries."""
