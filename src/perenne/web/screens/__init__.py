"""Payloads of the screens that join several domains."""
