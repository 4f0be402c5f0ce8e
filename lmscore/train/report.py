"""What a run says about its texts before it trains: sizes, unknown words, what makes them unfit."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping

from lmscore.bundle import Config
from lmscore.train.corpus import Corpus, CorpusCounts
from lmscore.train.evaluate import HeldOut

_FEW_TOKENS = 1000  # the perplexity of fewer has an error of many per cent
_MANY_UNKNOWN = 0.05  # of the tokens
_MANY_REPEATED = 0.1  # of the words

_log = logging.getLogger("lmscore")


def report_texts(
    train: Corpus,
    valid: HeldOut,
    config: Config,
    *,
    repeated: Mapping[str, int],
    learns_unk: bool,
    cure: str,
) -> None:
    """Log the size and the unknown words of each text, and warn of what makes figures misleading.

    `repeated` are the words in lines of each held-out text that are also trained on, `learns_unk`
    says whether `<unk>` is trained, and `cure` what would leave fewer unknown words.
    """
    has_unknown = config.unk_token_id is not None
    _log.info("text to train on: %s", _size(train.counts, has_unknown))
    for name, corpus in valid.texts.items():
        title = "held-out text" if len(valid.texts) == 1 else f"held-out text {name}"
        again = repeated[name] / max(1, corpus.counts.words)
        also = f"; {again:.1%} of its words are in lines that are also trained on" if again else ""
        _log.info("%s: %s%s", title, _size(corpus.counts, has_unknown), also)
        if again > _MANY_REPEATED:
            _log.warning("%s: much of it is also trained on, so its perplexity is too low", title)
        if corpus.counts.tokens < _FEW_TOKENS:
            _log.warning(
                "%s: %s tokens are few, so that its perplexity is a rough figure; give more with "
                "`valid`, or a larger `valid_share`",
                *(title, f"{corpus.counts.tokens:,}"),
            )
        if has_unknown:
            _warn_of_unknown(title, corpus.counts, learns_unk=learns_unk, cure=cure)
    if has_unknown:
        _warn_of_unknown("text to train on", train.counts, learns_unk=True, cure=cure)


def report_skipped(count: int) -> None:
    """Log how many records could not be read, if any."""
    if count:
        _log.info("%d %s could not be read", count, "record" if count == 1 else "records")


def report_marks(marks: Counter[str], config: Config) -> None:
    """Warn of sentence marks that stand within lines, where they are no boundaries."""
    read = "text" if config.unk_token_id is None else "unknown words"
    for mark, count in marks.items():
        _log.warning("%s stands within lines %s times, and is read there as %s", mark, count, read)


def report_ids(first: str | None) -> None:
    """Warn of lines that seem to begin with ids, such as `first`; None if they do not."""
    if first is not None:
        _log.warning(
            "each line begins with a word of its own that has digits, such as %s, which is learnt; "
            "if these are ids, train on a text without them: cut -d' ' -f2- removes first words",
            first,
        )


def _size(counts: CorpusCounts, has_unknown: bool) -> str:
    found = f"{counts.lines:,} lines, {counts.words:,} words, {counts.tokens:,} tokens"
    if not has_unknown:
        return found
    return f"{found}, of which {counts.oov:,} ({_unknown_share(counts):.1%}) are unknown (OOV)"


def _unknown_share(counts: CorpusCounts) -> float:
    """The share of tokens that are `<unk>`, the ends of lines left aside."""
    return counts.oov / max(1, counts.tokens - counts.lines)


def _warn_of_unknown(title: str, counts: CorpusCounts, *, learns_unk: bool, cure: str) -> None:
    if counts.oov and not learns_unk:
        _log.warning(
            "%s: has unknown words, but the text to train on has none that teach the model where "
            "they stand, so their log-probabilities mean nothing, and the weights are chosen "
            "without them; `min_count` 2 makes unknown words of rare ones",
            title,
        )
    if _unknown_share(counts) > _MANY_UNKNOWN:
        _log.warning(
            "%s: %.1f %% of the tokens are unknown, which a perplexity says little about; %s",
            *(title, 100 * _unknown_share(counts), cure),
        )
