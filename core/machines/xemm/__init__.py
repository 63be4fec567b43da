"""Cross-exchange market making: a maker order in one market, hedged fill by fill in another."""
