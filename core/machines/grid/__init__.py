"""The grid: price levels that buy low and sell one step higher (or the mirror image), over and over."""
