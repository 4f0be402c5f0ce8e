"""/tokenize, /detokenize and /tokenizer_info, as lm-evaluation-harness 0.4.13 asks for them."""

from __future__ import annotations

from typing import Any

from lmscore.serve.requests import DetokenizeRequest, TokenizeRequest
from lmscore.serve.served import Limits, ServedModel


def tokenize(model: ServedModel, body: TokenizeRequest, limits: Limits) -> dict[str, Any]:
    """The ids of a text; `add_special_tokens` puts <s> in front of it.

    A text that is nothing but the name of <s> or </s> is that token: clients ask so for its id.

    Raises:
        InputError: the text has no ids.
    """
    tokenizer, config = model.lm.tokenizer, model.lm.config
    controls = {tokenizer.token(i): i for i in (config.bos_token_id, config.eos_token_id)}
    if body.prompt in controls:
        ids = [controls[body.prompt]]
    else:
        ids = tokenizer.encode(body.prompt).tolist()
        if body.add_special_tokens:
            ids.insert(0, config.bos_token_id)
    limits.check("tokens", len(ids), limits.tokens, param="prompt")
    return {"tokens": ids, "count": len(ids)}


def detokenize(model: ServedModel, body: DetokenizeRequest) -> dict[str, Any]:
    """The text that ids spell; raises InputError for an id that is not in the vocabulary."""
    return {"prompt": model.lm.decode(body.tokens)}


def tokenizer_info(model: ServedModel) -> dict[str, Any]:
    """The special tokens of a model, by name and id."""
    config = model.lm.config
    names = ("bos", "eos", "unk")
    ids = {name: getattr(config, f"{name}_token_id") for name in names}
    known = {name: id_ for name, id_ in ids.items() if id_ is not None}
    return {
        **{f"{name}_token": model.lm.tokenizer.token(id_) for name, id_ in known.items()},
        **{f"{name}_token_id": id_ for name, id_ in known.items()},
        "pad_token": None,
        "chat_template": None,
        "vocab_size": config.vocab_size,
        "tokenizer": config.tokenizer,
    }
