"""Find the settings that answer a user's questions best (AutoRAG's job), and prove it on other questions."""
