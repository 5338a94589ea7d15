"""The working store, the published tables and the search indexes derived from them."""
