"""From milestone to continuity: one package takes a model from data to production and keeps it healthy there."""

__version__ = "0.1.0"
