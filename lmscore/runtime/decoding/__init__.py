"""Texts from a model: sampling, beam search, the next word; each a file, over `steps`."""
