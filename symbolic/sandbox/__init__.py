"""Theano's place for what was new there; programs import `rng_mrg` from it."""
