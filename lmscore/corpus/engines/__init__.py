"""A file for each engine that runs pipelines over corpora, each with an extra of its name."""
