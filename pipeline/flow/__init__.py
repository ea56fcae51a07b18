"""Each verb: which packages in which order; no rules of its own."""
