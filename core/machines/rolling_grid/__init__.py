"""The rolling grid: one post-only entry after another behind the touch, each lot with its own profit target and stop."""
