"""Input and output: exchanges, stores, settings, pictures, commands."""
