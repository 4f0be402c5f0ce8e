"""Corpora: records of many kinds of files."""

__all__: list[str] = []
