"""Everything after training: trained generators, loaded, drawn from, exported and shown. No training code."""
