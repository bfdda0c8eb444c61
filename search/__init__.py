"""Spaces, architectures, the supernet, E[LAT], bounds and strategies."""
