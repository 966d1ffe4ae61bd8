"""All the way round with real flights: `flights` is the project, `traffic` replays it, `story` tells it from the audit trail."""
