"""Every launch ever taken, in an SQLite file or a PostgreSQL database."""

from .rows import Record
from .store import MeasurementStore, open_store

__all__ = ["MeasurementStore", "Record", "open_store"]
