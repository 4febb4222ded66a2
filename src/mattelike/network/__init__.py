"""The networks, in torch: defined once, trained here, shipped as ONNX graphs."""
