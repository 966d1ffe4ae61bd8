"""What every process tells of itself: log lines, figures, traces, and a sign of life.

`logs` is the one place that configures logging, `log_files` keeps the lines in files that do not grow for ever; `context` holds
which request or trace is being worked on; `meters` count what `/metrics` shows, `pulse` how a loop goes, and `process` reads what
a process costs; `tracing` is OpenTelemetry, imported only if it is asked for; `heartbeats` says which processes of an
installation live, and where.

A model server's worker imports this, so it needs nothing but the standard library and msgspec.
"""
