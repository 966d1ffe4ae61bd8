"""The Open Inference Protocol, version 2, over REST: `routes` answers, `inputs` reads a request as columns."""
