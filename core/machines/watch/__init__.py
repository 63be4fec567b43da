"""Watching markets: no orders; what controllers look at is read."""
