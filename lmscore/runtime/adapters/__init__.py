"""Language models for the decoders of other projects, none of which is imported here."""
