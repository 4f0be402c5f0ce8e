"""Reports against what KenLM's and SRILM's own programs printed of the same log-probabilities."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.errors import OptionError
from lmscore.names import Tool
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.scoring.compat import (
    CompatReport,
    WordCounts,
    needs_words,
    tool_word_scores,
    tool_words,
    word_counts,
)
from lmscore.runtime.scoring.score import Score, Summary, TokenScore, WordScore

ARPA = """\\data\\
ngram 1=9
ngram 2=9
ngram 3=5

\\1-grams:
-2.1\t<unk>
-99\t<s>\t-0.35
-1.0\t</s>
-0.8\tthe\t-0.42
-1.1\tcat\t-0.31
-1.25\tsat\t-0.27
-1.05\ton\t-0.5
-1.3\tmat\t-0.2
-1.4\tdog\t-0.15

\\2-grams:
-0.3\t<s> the\t-0.18
-0.6\tthe cat\t-0.22
-0.75\tthe mat\t-0.1
-0.9\tthe dog\t-0.05
-0.45\tcat sat\t-0.33
-0.25\tsat on\t-0.12
-0.35\ton the\t-0.4
-0.15\tmat </s>
-0.7\tdog </s>

\\3-grams:
-0.2\t<s> the cat
-0.28\tthe cat sat
-0.11\tcat sat on
-0.17\tsat on the
-0.13\ton the mat

\\end\\
"""
VOCABULARY = ["<unk>", "<s>", "</s>", "the", "cat", "sat", "on", "mat", "dog"]

TEXT = ["the cat sat on the mat", "the zebra sat", "", "on the the dog mat quagga"]

# kenlm 0.3.0, for each line of TEXT: [p for p, _, _ in kenlm.Model(ARPA).full_scores(line)] ...
WITH_EOS = [
    [-0.3, -0.2, -0.28, -0.11, -0.17, -0.13, -0.25],
    [-0.3, -2.7, -1.25, -1.27],
    [-1.35],
    [-1.4, -0.35, -1.62, -0.9, -1.5, -2.3, -1.0],
]
# ... and full_scores(line, bos=False, eos=False).
WITHOUT_EOS = [
    [-0.8, -0.6, -0.28, -0.11, -0.17, -0.13],
    [-0.8, -2.52, -1.25],
    [],
    [-1.05, -0.35, -1.62, -0.9, -1.5, -2.3],
]

# The same version, compiled with its compile_query_only.sh: `query ARPA < TEXT` ...
KENLM_SENTENCES = (
    "the=3 2 -0.3\tcat=4 3 -0.2\tsat=5 3 -0.28\ton=6 3 -0.11\tthe=3 3 -0.17\tmat=7 3 -0.13\t"
    "</s>=2 2 -0.25\tTotal: -1.4399999 OOV: 0\n"
    "the=3 2 -0.3\tzebra=0 1 -2.7\tsat=5 1 -1.25\t</s>=2 1 -1.27\tTotal: -5.52 OOV: 1\n"
    "</s>=2 1 -1.35\tTotal: -1.35 OOV: 0\n"
    "on=6 1 -1.4\tthe=3 2 -0.35\tthe=3 1 -1.62\tdog=8 2 -0.9\tmat=7 1 -1.4999999\t"
    "quagga=0 1 -2.3\t</s>=2 1 -1\tTotal: -9.07 OOV: 1\n"
)
KENLM_SUMMARY = (
    "Perplexity including OOVs:\t8.217445322329482\n"
    "Perplexity excluding OOVs:\t5.348540304191823\n"
    "OOVs:\t2\n"
    "Tokens:\t19\n"
)
# ... and `query -n ARPA < TEXT`.
KENLM_SENTENCES_WITHOUT_EOS = (
    "the=3 1 -0.8\tcat=4 2 -0.6\tsat=5 3 -0.28\ton=6 3 -0.11\tthe=3 3 -0.17\tmat=7 3 -0.13\t"
    "Total: -2.0900002 OOV: 0\n"
    "the=3 1 -0.8\tzebra=0 1 -2.52\tsat=5 1 -1.25\tTotal: -4.5699997 OOV: 1\n"
    "Total: 0 OOV: 0\n"
    "on=6 1 -1.05\tthe=3 2 -0.35\tthe=3 1 -1.62\tdog=8 2 -0.9\tmat=7 1 -1.4999999\t"
    "quagga=0 1 -2.3\tTotal: -7.7200003 OOV: 1\n"
)
KENLM_SUMMARY_WITHOUT_EOS = (
    "Perplexity including OOVs:\t9.092151723052101\n"
    "Perplexity excluding OOVs:\t5.437316697793361\n"
    "OOVs:\t2\n"
    "Tokens:\t15\n"
)

# SRILM's formulas, worked out with a desk calculator: 11 of the 13 words of the three lines that
# are not blank are known, and their log-probabilities add up to -11.03 with </s> (three of them).
SRILM = "3 sentences, 15 words, 2 OOVs\n0 zeroprobs, logprob= -11.03 ppl= 4.890745 ppl1= 7.054424\n"
SRILM_WITHOUT_EOS = (
    "0 sentences, 15 words, 2 OOVs\n0 zeroprobs, logprob= -9.56 ppl= 5.437317 ppl1= 5.437317\n"
)


def make_score(text: str, log_probs: list[float], *, words: bool = True) -> Score:
    """A score with these base-10 log-probabilities, one token a word, as ARPA has them."""
    names = [*text.split(), "</s>"][: len(log_probs)]
    tokens = tuple(
        TokenScore(
            id=VOCABULARY.index(name) if name in VOCABULARY else 0,
            text=name,
            log_prob=log_prob * math.log(10),
            is_oov=name not in VOCABULARY,
            start=0,
            end=0,
        )
        for name, log_prob in zip(names, log_probs, strict=True)
    )
    return Score(
        text=text,
        log_prob=sum(token.log_prob for token in tokens),
        num_tokens=len(tokens),
        num_words=len(text.split()),
        num_oov=sum(token.is_oov for token in tokens),
        oov_log_prob=sum(token.log_prob for token in tokens if token.is_oov),
        tokens=tokens,
        words=tuple(WordScore(t.text, t.log_prob, t.is_oov, 0, 0, 1) for t in tokens * words),
    )


def report(
    tool: Tool, *, eos: bool, words: bool = True, source: str = "-", text: list[str] = TEXT
) -> tuple[str, str]:
    """What is printed of the sentences, and at the end."""
    made = CompatReport(tool, eos=eos, source=source)
    sentences = ""
    for line, log_probs in zip(text, WITH_EOS if eos else WITHOUT_EOS, strict=True):
        score = make_score(line, log_probs, words=words)
        sentences += made.sentence(score, words=words)
        made.add(score)
    return sentences, made.summary()


def agree(ours: str, theirs: str) -> bool:
    """Whether two reports say the same, numbers compared to six significant digits."""
    number = r"-?\d+(?:\.\d+)?(?:e-?\d+)?"
    assert re.sub(number, "#", ours) == re.sub(number, "#", theirs)
    ours_in, theirs_in = (list(map(float, re.findall(number, text))) for text in (ours, theirs))
    return ours_in == pytest.approx(theirs_in, rel=5e-6)


def without_ngram_lengths(sentences: str) -> str:
    return re.sub(r"(=\d+) \d+ ", r"\1 ", sentences)


@pytest.mark.parametrize(
    ("eos", "sentences", "summary"),
    [
        (True, KENLM_SENTENCES, KENLM_SUMMARY),
        (False, KENLM_SENTENCES_WITHOUT_EOS, KENLM_SUMMARY_WITHOUT_EOS),
    ],
)
def test_kenlm_prints_the_same(eos: bool, sentences: str, summary: str) -> None:
    ours = report("kenlm", eos=eos)
    assert agree(without_ngram_lengths(ours[0]), without_ngram_lengths(sentences))
    assert agree(ours[1], summary)
    totals = re.sub(r"^.*\t", "", sentences, flags=re.MULTILINE)  # query -v 1
    without_words = report("kenlm", eos=eos, words=False)
    assert agree(without_words[0], totals)
    assert agree(without_words[1], summary)


@pytest.mark.parametrize(("eos", "expected"), [(True, SRILM), (False, SRILM_WITHOUT_EOS)])
def test_srilm_by_its_formulas(eos: bool, expected: str) -> None:
    _, summary = report("srilm", eos=eos, source="dev.txt")
    assert agree(summary, f"file dev.txt: {expected}")
    assert agree(report("srilm", eos=eos, words=False, source="dev.txt")[1], summary)


def test_the_length_of_an_n_gram_is_all_that_was_read() -> None:
    line, _, _ = report("kenlm", eos=True)[0].partition("\t</s>")
    lengths = [int(column.split(" ")[1]) for column in line.split("\t")]
    assert lengths == [2, 3, 4, 5, 6, 7]
    assert "\tp( mat | the ...) \t= [7gram] " in report("srilm", eos=True)[0]


def test_the_layout_of_srilm() -> None:
    """Log-probabilities that a run of SRILM printed, and what else it printed of them."""
    score = make_score("a b c d", [-1.781618, -3.809954, -2.556785, -2.568506, -0.8688038])
    known = [WordScore(word.text, word.log_prob, False, 0, 0, 1) for word in score.words]
    score = Score("a b c d", score.log_prob, 5, 4, 0, 0.0, score.tokens, tuple(known))
    made = CompatReport("srilm")
    made.add(score)
    totals = (
        "1 sentences, 4 words, 0 OOVs\n"
        "0 zeroprobs, logprob= -11.58567 ppl= 207.555 ppl1= 787.8011\n"
    )
    assert agree(
        made.sentence(score, words=True),
        "a b c d\n"
        "\tp( a | <s> ) \t= [2gram] 0.01653415 [ -1.781618 ]\n"
        "\tp( b | a ...) \t= [3gram] 0.0001548981 [ -3.809954 ]\n"
        "\tp( c | b ...) \t= [4gram] 0.002774693 [ -2.556785 ]\n"
        "\tp( d | c ...) \t= [5gram] 0.002700813 [ -2.568506 ]\n"
        f"\tp( </s> | d ...) \t= [6gram] 0.1352684 [ -0.8688038 ]\n{totals}\n",
    )
    assert agree(made.sentence(score), f"a b c d\n{totals}\n")
    assert agree(made.summary(), f"file -: {totals}")


def test_oovs_in_the_layout_of_srilm() -> None:
    score = make_score("the zebra dog", [-1.556302, -9.0, -1.079181, -0.30103])
    assert agree(
        CompatReport("srilm").sentence(score, words=True),
        "the zebra dog\n"
        "\tp( the | <s> ) \t= [2gram] 0.02777779 [ -1.556302 ]\n"
        "\tp( <unk> | the ...) \t= [OOV] 0 [ -inf ]\n"
        "\tp( dog | <unk> ...) \t= [4gram] 0.08333339 [ -1.079181 ]\n"
        "\tp( </s> | dog ...) \t= [5gram] 0.5 [ -0.30103 ]\n"
        "1 sentences, 3 words, 1 OOVs\n"
        "0 zeroprobs, logprob= -2.936513 ppl= 9.524403 ppl1= 29.39386\n\n",
    )
    alone = CompatReport("srilm").sentence(make_score("zebra", [-9.0, -1.291743]))
    assert alone.endswith("logprob= -1.291743 ppl= 19.57686 ppl1= undefined\n\n")


def test_words_of_probability_zero() -> None:
    score = make_score("the zebra dog", [-1.0, -9.0, -math.inf, -0.5])
    srilm = CompatReport("srilm").sentence(score, words=True)
    assert "= [4gram] 0 [ -inf ]\n" in srilm
    assert agree(
        srilm.split("\n", 5)[5],
        "1 sentences, 3 words, 1 OOVs\n1 zeroprobs, logprob= -1.5 ppl= 5.62341 ppl1= 31.6228\n\n",
    )
    kenlm = CompatReport("kenlm")
    kenlm.add(score)
    assert kenlm.sentence(score) == "Total: -inf OOV: 1\n"
    assert kenlm.summary().startswith(
        "Perplexity including OOVs:\tinf\nPerplexity excluding OOVs:\tinf\n"
    )


def test_nothing_to_divide_by() -> None:
    assert CompatReport("kenlm").summary() == (
        "Perplexity including OOVs:\tNaN\nPerplexity excluding OOVs:\tNaN\nOOVs:\t0\nTokens:\t0\n"
    )
    assert CompatReport("srilm").summary() == "file -: 0 sentences, 0 words, 0 OOVs\n"


def test_a_blank_line_is_no_sentence_of_srilm() -> None:
    blank = make_score(" \t", [-1.0])
    assert CompatReport("srilm").sentence(blank, words=True) == ""
    srilm, kenlm = CompatReport("srilm"), CompatReport("kenlm")
    srilm.add(blank)
    kenlm.add(blank)
    assert (srilm.counts.sentences, kenlm.counts.sentences) == (0, 1)


def test_a_perplexity_past_all_floats() -> None:
    made = CompatReport("srilm")
    made.add(make_score("the", [-400.0, -400.0]))
    assert "ppl= inf ppl1= inf" in made.summary()


def test_unknown_characters_make_one_unknown_word() -> None:
    """Two <unk> of three tokens in one word: KenLM and SRILM know words only."""
    tokens = tuple(
        TokenScore(number + 3, text, -1.0, text == "<unk>", 0, 0)
        for number, text in enumerate(["a", "<unk>", "<unk>", "</s>"])
    )
    words = (WordScore("aßß", -3.0, True, 0, 3, 3), WordScore("</s>", -1.0, False, 3, 3, 1))
    score = Score("aßß", -4.0, 4, 1, 2, -2.0, tokens, words)
    assert word_counts(score) == WordCounts(1, 1, 1, 0, -1.0, -3.0)
    assert CompatReport("kenlm").sentence(score, words=True).startswith("aßß=0 2 -1.30288")
    assert "</s>=6 3 -0.434" in CompatReport("kenlm").sentence(score, words=True)


def test_words_that_have_no_tokens() -> None:
    words = (WordScore("the", 0.0, False, 0, 3, 0),)
    score = Score("the", 0.0, 0, 1, 0, 0.0, (), words)
    assert (
        CompatReport("kenlm", eos=False).sentence(score, words=True)
        == "the=0 2 0\tTotal: 0 OOV: 0\n"
    )


def test_words_that_were_not_asked_for() -> None:
    with pytest.raises(OptionError, match=r"words=True and tokens=True"):
        CompatReport("kenlm").sentence(make_score("the", [-1.0, -1.0], words=False), words=True)


def test_which_models_need_words(lm: LanguageModel, bpe_lm: LanguageModel) -> None:
    assert needs_words(lm.config)  # a no-break space divides tokens, and no word
    assert not needs_words(bpe_lm.config)  # there are none


LINES = st.lists(st.lists(st.floats(-30, -0.001), min_size=1, max_size=9), min_size=1, max_size=9)


@given(LINES)
def test_without_oovs_all_tools_agree(lines: list[list[float]]) -> None:
    summary, srilm, kenlm = Summary(), CompatReport("srilm"), CompatReport("kenlm")
    for log_probs in lines:
        score = make_score(" ".join(["the"] * (len(log_probs) - 1)), log_probs)
        if score.num_words:
            summary.add(score)
            srilm.add(score)
            kenlm.add(score)
    assert srilm.counts == kenlm.counts
    assert srilm.counts.log_prob == pytest.approx(summary.log_prob)
    if summary.words:
        _, ppl, ppl1 = re.findall(r"= (\S+)", srilm.summary())
        assert float(ppl) == pytest.approx(summary.ppl, rel=5e-6)
        assert float(ppl1) == pytest.approx(summary.ppl1, rel=5e-6)
        assert float(kenlm.summary().split()[3]) == pytest.approx(summary.ppl)


def test_kenlm_still_gives_these_scores(tmp_path: Path) -> None:
    kenlm = pytest.importorskip("kenlm")
    path = tmp_path / "model.arpa"
    path.write_text(ARPA)
    model = kenlm.Model(str(path))
    for line, with_eos, without in zip(TEXT, WITH_EOS, WITHOUT_EOS, strict=True):
        scores = list(model.full_scores(line))
        assert [log_prob for log_prob, _, _ in scores] == pytest.approx(with_eos, rel=1e-6)
        oovs = [oov for _, _, oov in scores]
        assert oovs == [token.is_oov for token in make_score(line, with_eos).tokens]
        inner = [p for p, _, _ in model.full_scores(line, bos=False, eos=False)]
        assert inner == pytest.approx(without, rel=1e-6)
        score = make_score(line, with_eos)
        if score.num_words:
            ppl = 10 ** (-word_counts(score).total_log_prob / math.log(10) / (score.num_words + 1))
            assert ppl == pytest.approx(model.perplexity(line), rel=1e-6)


@pytest.mark.parametrize("tool", ["kenlm", "srilm"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("the\u00a0cat sat", ["the\u00a0cat", "sat"]),
        ("the\x1fcat sat", ["the\x1fcat", "sat"]),
        ("\u3000the \u2009 cat\u2028", ["\u3000the", "\u2009", "cat\u2028"]),
        ("\u00a0", ["\u00a0"]),
    ],
)
def test_words_end_at_ascii_white_space(
    bpe_lm: LanguageModel, tool: Tool, text: str, words: list[str]
) -> None:
    score = bpe_lm.score(text, words=True)
    found = tool_word_scores(score, tool)
    assert [word.text for word in found] == [*words, "</s>"]
    assert [len(bpe_lm.tokenizer.encode(text)) + 1] == [sum(word.num_tokens for word in found)]
    assert sum(word.log_prob for word in found) == pytest.approx(score.log_prob)
    assert word_counts(score, tool).words == len(words)
    report = CompatReport(tool)
    report.add(score)
    block = report.sentence(score, words=True)
    assert words[0] in block
    assert f"OOVs:\t0\nTokens:\t{len(words) + 1}\n" in report.summary() or tool == "srilm"


def test_vertical_tabs_divide_words_of_kenlm_alone() -> None:
    text = "the\vcat\fsat"
    assert (len(tool_words(text, "kenlm")), len(tool_words(text, "srilm"))) == (3, 1)


def test_one_oov_of_two_unknown_tokens(lm: LanguageModel) -> None:
    """A word model drops the no-break space, and has a token for each side of it."""
    score = lm.score("zebra\u00a0quagga cat", words=True)
    assert (score.num_oov, word_counts(score).oovs, word_counts(score).words) == (2, 1, 2)
