"""What records the golden files runs beside the real DVC, not here."""

collect_ignore = ["record.py"]
