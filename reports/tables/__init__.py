"""reports/tables."""
