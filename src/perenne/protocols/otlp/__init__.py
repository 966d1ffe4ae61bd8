"""OpenTelemetry's protocol over HTTP: `traces` takes spans in."""
