"""The Retriever seam: passages for a question, by words, by vectors, or by both."""
