"""The gates between a version and the world: each looks at one thing and leaves one row of evidence."""
