"""From files to text units: loaders, sentences, chunks. Character offsets are kept throughout."""
