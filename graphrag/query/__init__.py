"""Questions to a published index: basic, local and global, with checked citations."""
