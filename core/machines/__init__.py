"""The strategies, one machine each. They never import each other."""
