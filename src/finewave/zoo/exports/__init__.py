"""Models for other programs: ONNX, Deepness, STAC."""
