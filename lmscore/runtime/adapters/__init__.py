"""Language models for other people's decoders, none of which is imported here."""
