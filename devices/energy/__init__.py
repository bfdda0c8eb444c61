"""Meters of energy, as far as machines expose them."""
