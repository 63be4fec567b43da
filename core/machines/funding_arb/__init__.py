"""Funding-rate arbitrage: long where funding is low, short where it is high."""
