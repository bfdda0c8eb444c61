"""Every launch ever taken, in an SQLite file or a PostgreSQL database."""

from .store import MeasurementStore, open_store

__all__ = ["MeasurementStore", "open_store"]
