"""Ops: what can be computed. Importing this package fills the registries."""
