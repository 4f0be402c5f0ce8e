"""ARPA files: the text format of back-off models that SRILM, KenLM, IRSTLM and CMU's tools share."""
