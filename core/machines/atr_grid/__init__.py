"""The ATR grid: buys below the market at distances that follow volatility, hedged by a short once the price breaks out below."""
