"""KServe's first protocol over REST, `:predict` and `:explain`; its second is the Open Inference Protocol, beside it."""
