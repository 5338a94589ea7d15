"""How good retrieval and answers are, measured against gold data, and whether a difference is one."""
