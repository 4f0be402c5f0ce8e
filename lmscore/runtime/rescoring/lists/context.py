"""N-best lists of consecutive utterances: each is scored after the texts chosen before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from lmscore.errors import InputError
from lmscore.runtime.engine import State
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.rescoring.lists.features import Prepare, ScoredList
from lmscore.runtime.rescoring.lists.nbest import NBestList
from lmscore.runtime.rescoring.lists.weights import Weights
from lmscore.runtime.rescoring.models import ListScores, score_lists


def scored_in_context(
    lists: Iterable[NBestList],
    lm: LanguageModel,
    weights: Weights,
    *,
    name: str,
    eos: bool = True,
    prepare: Prepare = str,
) -> Iterator[ScoredList]:
    """Lists with a new feature, the state carried along the hypotheses that the weights choose.

    As `LanguageModel.score_stream` does in document context: all lists are one document, and a list
    without hypotheses leaves the state as it is. Each list has to wait for the choice in the one
    before, so batches are small and this takes longer than scoring each on its own.

    Args:
        lists: the lists in the order of the utterances.
        lm: the model, preferably one that was trained on documents.
        weights: the weights that choose hypotheses, the new feature's among them.
        name: the name of the new feature.
        eos: whether </s> is scored.
        prepare: a function from the text of a hypothesis to the text that is scored.

    Raises:
        InputError: a hypothesis is not a text that the model can read.
        OptionError: a backward model; a list has a feature of that name, or lacks one that is
            weighed.
    """
    lm.check_forward("document context")
    state = lm.initial_state()
    for nbest in lists:
        texts = [prepare(hypothesis.text) for hypothesis in nbest.hypotheses]
        scored = ScoredList.of(nbest, {name: _score(lm, nbest.id, texts, state, eos=eos)})
        best = weights.best(scored.nbest)
        if best is not None:
            state = state_after(lm, texts[best], state)
        yield scored


def _score(lm: LanguageModel, key: str, texts: list[str], state: State, *, eos: bool) -> ListScores:
    try:
        (scores,) = score_lists(lm, [texts], eos=eos, states=[state])
    except InputError:
        lm.tokenizer.encode_batch(texts, name=f"list {key!r}, hypothesis")  # names the list
        raise
    return scores


def state_after(lm: LanguageModel, text: str, state: State) -> State:
    """The state of one row after <s> and a sentence, from which the next sentence goes on.

    Its end </s> is not read: where a model was trained on documents, it is the <s> of the next.
    """
    ids = np.insert(lm.encode(text), 0, lm.config.bos_token_id)
    return lm.engine.state_after(ids, state)
