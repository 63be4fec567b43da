"""The commands of `gridkeeper`, one module each: `add` declares the arguments, `run` does the work."""
