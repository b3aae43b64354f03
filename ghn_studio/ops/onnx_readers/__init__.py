"""How operators recognise themselves in ONNX where that takes more than a line, by family."""
