"""Compositions that Prefect runs; each file is one flow."""
