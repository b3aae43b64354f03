"""Networks and their values in and out of files. Torch and ONNX are imported by what needs them."""
