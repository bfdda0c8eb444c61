"""Every launch ever taken, in an SQLite file or a PostgreSQL database."""

from .opening import open_store
from .rows import Record
from .store import MeasurementStore

__all__ = ["MeasurementStore", "Record", "open_store"]
