"""Retrievers over an index."""
