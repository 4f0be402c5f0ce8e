"""What the verbs on n-best lists and on lattices share: `rescore`, `tune` and `lattice`."""
