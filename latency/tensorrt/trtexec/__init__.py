"""TensorRT through its command-line tool, where its Python package is not installed."""
