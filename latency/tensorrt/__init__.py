"""TensorRT: engines, where they run, and how they are timed."""
