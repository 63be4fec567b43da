"""The position executor: one entry, a triple barrier, one exit sized from fills."""
