"""Scoring text with an exported model: numpy, ONNX Runtime and tokenizers, nothing else."""
