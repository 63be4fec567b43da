"""The order executor: one order, placed as its strategy says, held when it is done."""
