"""The entity graph: building it, its communities, and ranking on it."""
