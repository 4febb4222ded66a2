"""Learning: groups, made pictures, simulated prompts, losses, the loop, and the way out to ONNX."""
