"""Arbitrage: bought in one market and sold in another at the same moment."""
