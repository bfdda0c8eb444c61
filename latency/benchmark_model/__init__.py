"""TFLite's benchmark_model, driven on a phone, a board or this machine through a transport."""
