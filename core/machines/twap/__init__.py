"""The TWAP executor: an amount in slices of equal distance in time."""
