"""What the executors have in common: their life, their barriers, their entries and their one exit."""
