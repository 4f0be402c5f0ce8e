"""`lmscore score`: one record out per line in."""

from __future__ import annotations

import gzip
import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lmscore
from lmscore.cli.layout import Layout
from lmscore.cli.scored_records import score_records
from lmscore.corpus.reading import Record
from lmscore.runtime.scoring.score import Score, WordScore
from tests.cli.conftest import Run
from tests.models import make_model

LINES = ["thanks for all the fish", "", "the zebra sat", "  the\tcat  "]


@pytest.fixture(scope="module")
def lm(model_path: Path) -> lmscore.LanguageModel:
    return lmscore.load(model_path)


def test_a_line_of_columns_for_every_line(run: Run, lm: lmscore.LanguageModel) -> None:
    result = run("score", stdin="".join(f"{line}\n" for line in LINES))
    assert result.status == 0
    for line, text, score in zip(
        result.out.splitlines(), LINES, lm.score_batch(LINES), strict=True
    ):
        log_prob, tokens, oov, rest = line.split("\t", 3)
        assert (float(log_prob), int(tokens)) == (round(score.log_prob, 4), score.num_tokens)
        assert (int(oov), rest) == (score.num_oov, text)


def test_the_summary_says_what_was_counted(run: Run, lm: lmscore.LanguageModel) -> None:
    total = sum(score.log_prob for score in lm.score_batch(LINES))
    result = run("score", stdin="\n".join(LINES))
    first, second = result.err.splitlines()
    assert first == (
        "lmscore: model (int8, sentence context): "
        "4 sentences, 10 words, 14 tokens with </s>, 1 OOVs"
    )
    assert second == (
        f"lmscore: log-probability {total:.4f} nats, perplexity {math.exp(-total / 14):.2f} "
        f"per token, {math.exp(-total / 14):.2f} per word, </s> counted"
    )
    assert run("score", "--quiet", stdin="text\n").err == ""


def test_without_the_end_of_sentence(run: Run, lm: lmscore.LanguageModel) -> None:
    result = run("score", "--no-eos", "--no-bos", stdin="the cat\n")
    score = lm.score("the cat", bos=False, eos=False)
    assert result.rows == [[f"{score.log_prob:.4f}", "1", "0", "the cat"]]
    assert "1 tokens without </s>" in result.err
    assert result.err.endswith("per word\n")


def test_jsonl_has_everything(run: Run, lm: lmscore.LanguageModel) -> None:
    result = run("score", "--format", "jsonl", stdin="the zebra sät\n")
    score = lm.score("the zebra sät")
    assert result.objects == [
        {
            "text": "the zebra sät",
            "log_prob": score.log_prob,
            "num_tokens": 4,
            "num_words": 3,
            "num_oov": 2,
            "perplexity_per_word": math.exp(-score.log_prob / 4),  # </s> counted
            "perplexity": score.perplexity,
            "perplexity_per_token": score.perplexity,
        }
    ]
    assert "sät" in result.out


def test_no_token_no_perplexity(run: Run) -> None:
    (record,) = run("score", "--no-eos", "--format", "jsonl", stdin="\n").objects
    assert (record["log_prob"], record["num_tokens"], record["perplexity"]) == (0, 0, None)


def test_a_row_per_word(run: Run, lm: lmscore.LanguageModel) -> None:
    result = run("score", "--per", "word", stdin="the  zebra\n\nsat\n")
    scores = lm.score_batch(["the  zebra", "", "sat"], words=True)
    words = [
        (line, index, word)
        for line, score in enumerate(scores, 1)
        for index, word in enumerate(score.words, 1)
    ]
    for row, (line, index, word) in zip(result.rows, words, strict=True):
        assert row[:5] == [str(line), str(index), word.text, str(word.start), str(word.end)]
        assert row[5:] == [f"{word.log_prob:.4f}", str(int(word.is_oov))]
    assert [row[2] for row in result.rows] == ["the", "zebra", "</s>", "</s>", "sat", "</s>"]
    assert result.rows[1][3:5] + result.rows[1][6:] == ["5", "10", "1"]
    assert "3 sentences, 3 words, 6 tokens with </s>, 1 OOVs" in result.err


def test_a_row_per_token(run: Run, bpe_model_path: Path) -> None:
    result = run("score", "-m", bpe_model_path, "--per", "token", stdin="a fish\n")
    score = lmscore.load(bpe_model_path).score("a fish")
    assert [row[:5] for row in result.rows] == [
        ["1", str(index), token.text, str(token.start), str(token.end)]
        for index, token in enumerate(score.tokens, 1)
    ]
    assert result.rows[-1][2:5] == ["</s>", "6", "6"]


def test_rows_keep_ids_and_numbers_count_through_files(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("the cat\n")
    options = ("score", "--per", "word", "--no-eos")
    result = run(*options, tmp_path / "a", tmp_path / "a", stdin="")
    assert [row[:3] for row in result.rows] == [
        ["1", "1", "the"],
        ["1", "2", "cat"],
        ["2", "1", "the"],
        ["2", "2", "cat"],
    ]
    result = run(*options, "--input-format", "tsv", stdin="utt 1\tthe\nb\tcat\n")
    assert [row[:3] for row in result.rows] == [["utt 1", "1", "the"], ["b", "1", "cat"]]


def test_cells_hold_no_tabs(run: Run, tmp_path: Path) -> None:
    """A character model whose vocabulary has white space and the escape itself."""
    path = make_model(tmp_path, tokenizer="char", variants=("fp32",)).path
    result = run("score", "-m", path, "--per", "token", "--no-eos", stdin="a\\b\n")
    assert [row[2] for row in result.rows] == ["a", r"\\", "b"]
    layout = Layout("tsv", "word", surprisal=False, ids=False)
    words = (WordScore("a\tb\nc\rd", -1.0, False, 0, 7, 1),)
    score = Score("", -1.0, 1, 1, 0, 0.0, words=words)
    assert layout.lines(1, Record(""), score) == "1\t1\ta\\tb\\nc\\rd\t0\t7\t-1.0000\t0\n"


@pytest.mark.parametrize("per", ["token", "word"])
def test_jsonl_holds_an_array(run: Run, lm: lmscore.LanguageModel, per: str) -> None:
    result = run("score", "--per", per, "--format", "jsonl", stdin="the zebra\n\n")
    score = lm.score("the zebra", words=True)
    first, second = result.objects
    assert (first["text"], first["log_prob"]) == ("the zebra", score.log_prob)
    assert first[f"{per}s"] == [
        {
            "text": part.text,
            "start": part.start,
            "end": part.end,
            "log_prob": part.log_prob,
            "is_oov": part.is_oov,
        }
        for part in (score.tokens if per == "token" else score.words)
    ]
    assert len(second[f"{per}s"]) == 1
    assert {"tokens", "words"} & first.keys() == {f"{per}s"}


def test_surprisal_in_bits(run: Run, lm: lmscore.LanguageModel) -> None:
    score = lm.score("the cat", words=True)
    bits = -score.log_prob / math.log(2)
    ((value, *_),) = run("score", "--surprisal", stdin="the cat\n").rows
    assert value == f"{bits:.4f}"
    rows = run("score", "--surprisal", "--per", "word", stdin="the cat\n").rows
    assert [row[5] for row in rows] == [f"{word.surprisal:.4f}" for word in score.words]
    options = ("score", "--surprisal", "--per", "word", "--format", "jsonl")
    (record,) = run(*options, stdin="the cat\n").objects
    assert record["surprisal"] == pytest.approx(bits)
    assert "log_prob" not in record
    assert sum(word["surprisal"] for word in record["words"]) == pytest.approx(bits)
    assert run("score", "--surprisal", "--no-eos", stdin="\n").rows == [["0.0000", "0", "0", ""]]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ((), "log_prob num_tokens num_oov text"),
        (("--input-format", "tsv"), "id log_prob num_tokens num_oov text"),
        (("--surprisal",), "surprisal num_tokens num_oov text"),
        (("--per", "word"), "id index text start end log_prob is_oov"),
        (("--per", "token", "--surprisal"), "id index text start end surprisal is_oov"),
    ],
)
def test_header(run: Run, options: tuple[str, ...], names: str) -> None:
    rows = run("score", "--header", *options, stdin="a\tb\n").rows
    assert rows[0] == names.split()
    assert len(rows) > 1


def test_a_prefix_for_all(run: Run, lm: lmscore.LanguageModel) -> None:
    stdin = "cat\n\n  the dog\n"
    result = run("score", "--prefix", "the big", stdin=stdin)
    for row, text in zip(result.rows, stdin.split("\n")[:-1], strict=True):
        score = lm.score(text, prefix="the big")
        assert (row[0], row[1], row[3]) == (f"{score.log_prob:.4f}", str(score.num_tokens), text)
    options = ("score", "--prefix", "the big", "--context", "document")
    expected = [lm.score(t, prefix="the big", context="document") for t in ("cat", "dog")]
    rows = run(*options, stdin="cat\ndog\n").rows
    assert [row[0] for row in rows] == [f"{score.log_prob:.4f}" for score in expected]


def test_a_joiner_between_prefix_and_text(
    run: Run, bpe_model_path: Path, chinese_model_path: Path
) -> None:
    lm = lmscore.load(bpe_model_path)
    given = ("score", "-q", "-m", str(bpe_model_path), "--prefix", "wor")
    for options, joiner in (((), " "), (("--joiner", ""), ""), (("--joiner", "-"), "-")):
        score = lm.score("ld", prefix="wor", joiner=joiner)
        assert run(*given, *options, stdin="ld\n").rows[0][0] == f"{score.log_prob:.4f}"
    chinese = lmscore.load(chinese_model_path)
    score = chinese.score("\u660e\u6708", prefix="\u5e8a\u524d", joiner="")
    argv = ("score", "-q", "-m", str(chinese_model_path), "--prefix", "\u5e8a\u524d")
    row = run(*argv, stdin="\u660e\u6708\n").rows[0]
    assert row[:3] == [f"{score.log_prob:.4f}", "3", "0"]  # no space, which would be <unk>


def test_words_of_a_script_without_spaces(run: Run, chinese_model_path: Path) -> None:
    text = "\u5e8a\u524d \u660e\u6708\n"
    argv = ("score", "-m", str(chinese_model_path), "--per", "word")
    result = run(*argv, stdin=text)
    assert [row[2] for row in result.rows] == [*"\u5e8a\u524d\u660e\u6708", "</s>"]
    assert "context, words are characters): 1 sentences, 4 words, " in result.err
    spaces = run(*argv, "--segmentation", "spaces", stdin=text)
    assert [row[2] for row in spaces.rows] == [*text.split(), "</s>"]
    assert "words are characters" not in spaces.err
    measured = run(*argv, "--segmentation", "spaces", "--rank", "-q", stdin=text)
    assert [row[2] for row in measured.rows] == [*text.split(), "</s>"]
    compat = run("score", "-m", str(chinese_model_path), "--compat", "kenlm", stdin=text)
    assert "Tokens:\t3\n" in compat.out


def test_a_prefix_for_each(run: Run, lm: lmscore.LanguageModel) -> None:
    expected = lm.score_batch(["cat", "dog a"], prefix=["the", ""])
    stdin = "u1\tthe\tcat\nu2\t\tdog a\n"
    options = ("score", "--input-format", "tsv", "--prefix-column")
    rows = run(*options, stdin=stdin).rows
    assert [row[0] for row in rows] == ["u1", "u2"]
    assert [row[1] for row in rows] == [f"{score.log_prob:.4f}" for score in expected]
    assert [row[4] for row in rows] == ["cat", "dog a"]
    first, _ = run(*options, "--format", "jsonl", stdin=stdin).objects
    assert {key: first[key] for key in ("id", "prefix", "text")} == {
        "id": "u1",
        "prefix": "the",
        "text": "cat",
    }
    stdin = '{"before": "the", "text": "cat"}\n{"before": "", "text": "dog a"}\n'
    fields = ("--input-format", "jsonl", "--prefix-field", "before", "--format", "jsonl")
    for more in ((), ("--line-buffered",)):
        objects = run("score", *fields, *more, stdin=stdin).objects
        assert [o["log_prob"] for o in objects] == pytest.approx([s.log_prob for s in expected])
        assert [o["before"] for o in objects] == ["the", ""]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--header", "--format", "jsonl"), "--header is for --format tsv"),
        (("--prefix-column",), "--prefix-column needs --input-format tsv"),
        (("--prefix-field", "x"), "--prefix-field needs --input-format jsonl"),
        (
            ("--prefix", "a", "--prefix-column", "--input-format", "tsv"),
            "give one of --prefix, --prefix-field and --prefix-column",
        ),
        (("--joiner", ""), "--joiner stands between a prefix and its text: give a prefix"),
    ],
)
def test_options_that_do_not_go_together(run: Run, options: tuple[str, ...], message: str) -> None:
    result = run("score", *options, stdin="the\n")
    assert (result.status, result.out) == (2, "")
    assert message in " ".join(result.err.split())


@pytest.mark.parametrize(
    ("options", "stdin", "message"),
    [
        (("tsv", "--prefix-column"), "a\n", "line 1: no tab; expected id<TAB>prefix<TAB>text"),
        (
            ("tsv", "--prefix-column"),
            "a\tb\n",
            "line 1: 2 columns, expected id<TAB>prefix<TAB>text",
        ),
        (
            ("jsonl", "--prefix-field", "p"),
            '{"text": "a"}\n',
            "no field 'p', only 'text'; name another with --prefix-field",
        ),
        (("jsonl", "--prefix-field", "p"), '{"text": "a", "p": 1}\n', "field 'p' is int"),
    ],
)
def test_bad_prefixes(run: Run, options: tuple[str, ...], stdin: str, message: str) -> None:
    result = run("score", "--input-format", *options, stdin=stdin)
    assert (result.status, result.out) == (1, "")
    assert message in result.err


def test_tsv_input_keeps_its_ids(run: Run) -> None:
    stdin = "utt-1\tthe cat\nutt 2\t\n\ta b\n"
    rows = run("score", "--input-format", "tsv", stdin=stdin).rows
    assert [row[0] for row in rows] == ["utt-1", "utt 2", ""]
    assert ["\t".join(row[4:]) for row in rows] == ["the cat", "", "a b"]
    objects = run("score", "--input-format", "tsv", "--format", "jsonl", stdin=stdin).objects
    assert [(o["id"], o["text"]) for o in objects] == [
        ("utt-1", "the cat"),
        ("utt 2", ""),
        ("", "a b"),
    ]


def test_jsonl_input_keeps_its_fields(run: Run, lm: lmscore.LanguageModel) -> None:
    stdin = '{"hyp": "the cat\\nsat", "am": -1.5, "log_prob": "old", "tags": [{"ä": null}]}\n'
    options = ("score", "--input-format", "jsonl", "--field", "hyp")
    (record,) = run(*options, "--format", "jsonl", stdin=stdin).objects
    assert record["hyp"] == "the cat\nsat"
    assert (record["am"], record["tags"]) == (-1.5, [{"ä": None}])
    assert record["log_prob"] == "old"
    assert record["lmscore_log_prob"] == lm.score("the cat\nsat", split="lines").log_prob
    assert "text" not in record
    (row,) = run(*options, stdin=stdin).rows
    assert row[3] == r"the cat\nsat"


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])))
def test_any_text_comes_back_as_it_was(run: Run, text: str) -> None:
    result = run("score", stdin=f"the\n{text}\n")
    assert result.status == 0
    expected = text.removesuffix("\r")  # part of a line end
    assert result.out.split("\n")[1].split("\t", 3)[3] == expected


def test_odd_characters(run: Run) -> None:
    texts = ["a\rb", "a\u2028b", "a\x00b", "a\x0b\x0c\x1c\x85b", "</s>", "\ufeffc"]
    stdin = "\ufeff" + "\n".join(texts) + "\n"
    out = run("score", stdin=stdin).out.split("\n")
    assert [line.split("\t", 3)[3] for line in out[:-1]] == [*texts[:-1], "c"]
    crlf = run("score", stdin="a b\r\nc\r\n")
    assert [row[3] for row in crlf.rows] == ["a b", "c"]


def test_files(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("the cat\n")
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"the dog"))
    result = run("score", tmp_path / "a.txt", "-", tmp_path / "b.gz", stdin="so long\n")
    assert [row[3] for row in result.rows] == ["the cat", "so long", "the dog"]


def test_context_carries_the_state(run: Run) -> None:
    alone, carried = (
        run("score", "--context", context, "--variant", "fp32", stdin="the cat\nsat\n").rows
        for context in ("sentence", "document")
    )
    assert alone[0] == carried[0]
    assert alone[1][0] != carried[1][0]


def test_line_buffered_gives_the_same_scores(run: Run) -> None:
    options = ("score", "--context", "document", "--variant", "fp32")
    stdin = "the cat\nsat\n\non the mat\n"
    assert run(*options, "--line-buffered", stdin=stdin).out == run(*options, stdin=stdin).out


def test_no_more_is_read_than_a_window(lm: lmscore.LanguageModel) -> None:
    read = 0

    def records() -> Iterator[Record]:
        nonlocal read
        for _ in range(100_000):
            read += 1
            yield Record("the cat")

    scored = score_records(lm, records(), bos=True, eos=True, context=None)
    assert [record.text for record, _ in itertools.islice(scored, 3)] == ["the cat"] * 3
    assert read < 5_000


def test_variant_and_threads(run: Run) -> None:
    result = run("score", "--variant", "fp32", "--threads", "1", "--device", "cpu", stdin="a\n")
    assert "model (fp32, sentence context)" in result.err


@pytest.mark.parametrize(
    ("input_format", "stdin", "message"),
    [
        ("text", b"", "standard input: empty, there is no line to score"),
        ("text", b"\xef\xbb\xbf", "standard input: empty"),
        ("text", b"one\ntw\xff\n", "standard input, line 2: invalid UTF-8 at byte 3"),
        ("tsv", b"a\tb\nno tab\n", "standard input, line 2: no tab; expected id<TAB>text"),
        ("jsonl", b'{"text": "a"}\n{"text"}\n', "line 2: not JSON: "),
        ("jsonl", b'"text"\n', "line 1: expected a JSON object, got str"),
        ("jsonl", b'{"sentence": "a"}\n', "line 1: no field 'text'"),
        ("jsonl", b'{"text": 1}\n', "line 1: field 'text' is int, expected a string"),
        ("jsonl", b'{"text": "\\ud800"}\n', "line 1: field 'text' holds half a surrogate pair"),
        ("jsonl", b"[" * 100_000 + b"\n", "line 1: not JSON: "),
    ],
)
def test_bad_input(run: Run, input_format: str, stdin: bytes, message: str) -> None:
    result = run("score", "--input-format", input_format, stdin=stdin)
    assert result.status == 1
    assert message in result.err
    assert result.err.count("\n") == 1
    assert len(result.rows) == max(0, stdin.count(b"\n") - 1)  # those before it are scored


def test_files_that_cannot_be_read(run: Run, tmp_path: Path) -> None:
    result = run("score", tmp_path)
    assert result.err == f"lmscore: error: {tmp_path}: is a directory, expected a text file\n"
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"the cat\n" * 1000)[:-9])
    result = run("score", tmp_path / "cut.gz")
    assert "cut.gz: damaged compressed file" in result.err
    (tmp_path / "empty.txt").touch()
    result = run("score", tmp_path / "empty.txt")
    assert "empty.txt: empty, there is no line to score" in result.err


def test_replacing_invalid_utf8(run: Run) -> None:
    result = run("score", "--errors", "replace", stdin=b"tw\xffo\n")
    assert result.rows[0][3] == "tw\ufffdo"


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("model_int8.onnx", "truncate", "config.json says"),
        ("model_int8.onnx", "alter", "does not match its sha256"),
        ("tokenizer.json", "alter", "does not match tokenizer_sha256"),
        ("tokenizer.json", "remove", "tokenizer.json is missing"),
        ("config.json", "truncate", "not JSON"),
        ("config.json", "remove", "config.json is missing"),
    ],
)
def test_a_damaged_model(
    run: Run, model_path: Path, tmp_path: Path, file: str, damage: str, message: str
) -> None:
    for source in model_path.iterdir():
        (tmp_path / source.name).write_bytes(source.read_bytes())
    path = tmp_path / file
    data = path.read_bytes()
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(data[:-20] if damage == "truncate" else data[:-20] + b"?" * 20)
    result = run("score", "-m", tmp_path, stdin="text\n")
    assert (result.status, result.out) == (1, "")
    assert message in result.err
    assert str(tmp_path) in result.err
