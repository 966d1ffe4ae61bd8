"""What everything stands on: errors, ids, clocks, hashing, JSON, events, settings. Standard library and msgspec only."""
