"""Many small round trips laid over a price range, evenly or by a normal distribution: document 001's trade manager."""
