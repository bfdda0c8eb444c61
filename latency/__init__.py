"""Operators, runtimes, measuring, tables and latency models."""
