"""The gates themselves, a module each."""
