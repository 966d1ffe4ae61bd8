"""DVC at the edge."""
