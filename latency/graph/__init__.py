"""The small backend-neutral program that operators lower to, and its ONNX and TFLite writers."""
