"""How fast a model is on this machine, and how fast the machine would let it be."""
