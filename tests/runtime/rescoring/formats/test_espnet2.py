"""Directories of ESPnet2 and FunASR."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmscore.errors import InputError, OptionError
from lmscore.runtime.rescoring.formats import read, render, write
from lmscore.runtime.rescoring.lists.nbest import NBestList
from tests.runtime.rescoring.formats.conftest import contents

FILES = {
    "1best_recog/text": "spk1-utt1 he  passed the\tdoor\nspk1-utt2 yes\n",
    "1best_recog/token": "spk1-utt1 he pass ed the door\nspk1-utt2 yes\n",
    "1best_recog/token_int": "spk1-utt1 4\nspk1-utt2 5\n",
    "1best_recog/score": "spk1-utt1 tensor(-3.2)\nspk1-utt2 tensor(-0.5, device='cuda:0')\n",
    "1best_recog/encoder_interctc_layer6.txt": "spk1-utt1 he\nspk1-utt2 y\n",
    "2best_recog/text": "spk1-utt1 he past the door\nspk1-utt2 \n",
    "2best_recog/token": "spk1-utt1 he past the door\nspk1-utt2 \n",
    "2best_recog/token_int": "spk1-utt1 6\nspk1-utt2 \n",
    "2best_recog/score": "spk1-utt1 -3.25\nspk1-utt2 tensor(-4.)\n",
    "3best_recog/text": "spk1-utt2 yet",
    "3best_recog/token": "spk1-utt2 yet\n",
    "3best_recog/token_int": "spk1-utt2 7\n",
    "3best_recog/score": "spk1-utt2 -5\r\n",
}


def make(root: Path, files: dict[str, str] = FILES) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text.encode())
    return root


def files_in(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): path.read_bytes().decode()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("inner", ["", "1best_recog/text"])
def test_lists(tmp_path: Path, inner: str) -> None:
    list_format, lists = read(make(tmp_path / "decode") / inner)
    assert list_format.name == "espnet2"
    assert [(nbest.id, contents(nbest)) for nbest in lists] == [
        (
            "spk1-utt1",
            [("he passed the door", {"score": -3.2}), ("he past the door", {"score": -3.25})],
        ),
        ("spk1-utt2", [("yes", {"score": -0.5}), ("", {"score": -4}), ("yet", {"score": -5})]),
    ]


def test_unchanged_directories_keep_every_byte(tmp_path: Path) -> None:
    list_format, lists = read(make(tmp_path / "decode"))
    write(list_format, lists, f"{tmp_path / 'out'}/")
    assert files_in(tmp_path / "out" / "decode") == FILES


def test_new_scores_are_one_more_file(tmp_path: Path) -> None:
    list_format, lists = read(make(tmp_path / "decode"))
    scored = (n.with_feature("rnn", [-1.5, -2.5, -3.5][: len(n.hypotheses)]) for n in lists)
    write(list_format, scored, f"{tmp_path / 'out'}/")
    new = {
        "1best_recog/rnn": "spk1-utt1 -1.5\nspk1-utt2 -1.5\n",
        "2best_recog/rnn": "spk1-utt1 -2.5\nspk1-utt2 -2.5\n",
        "3best_recog/rnn": "spk1-utt2 -3.5\n",
    }
    assert files_in(tmp_path / "out" / "decode") == FILES | new
    _, again = read(tmp_path / "out" / "decode")
    assert contents(next(iter(again)))[1] == ("he past the door", {"score": -3.25, "rnn": -2.5})


def test_another_order_and_back(tmp_path: Path) -> None:
    """All files of a hypothesis move; those of the utterance stay."""

    def turned(root: Path, out: Path) -> dict[str, str]:
        list_format, lists = read(root)
        write(list_format, (n.reordered(range(len(n.hypotheses))[::-1]) for n in lists), out)
        return files_in(out / root.name)

    (tmp_path / "there").mkdir()
    (tmp_path / "back").mkdir()
    there = turned(make(tmp_path / "decode"), tmp_path / "there")
    assert there["1best_recog/text"] == "spk1-utt1 he past the door\nspk1-utt2 yet\n"
    assert there["1best_recog/token_int"] == "spk1-utt1 6\nspk1-utt2 7\n"
    assert there["1best_recog/encoder_interctc_layer6.txt"] == "spk1-utt1 he\nspk1-utt2 y\n"
    back = turned(tmp_path / "there" / "decode", tmp_path / "back")
    assert back == FILES


def test_fewer_hypotheses(tmp_path: Path) -> None:
    list_format, lists = read(make(tmp_path / "decode"), max_hypotheses=1)
    write(list_format, lists, f"{tmp_path / 'out'}/")
    out = files_in(tmp_path / "out" / "decode")
    assert out["1best_recog/text"] == FILES["1best_recog/text"]
    assert out["2best_recog/text"] == ""


def test_speakers_and_several_directories(tmp_path: Path) -> None:
    for part in ("output.1", "output.2"):
        for speaker in "12":
            text = f"{part}-{speaker} a\n"
            make(tmp_path / part, {f"1best_recog_spk{speaker}/text": text})
    list_format, lists = read([tmp_path / "output.1", tmp_path / "output.2"])
    found = list(lists)
    assert [nbest.id for nbest in found] == [f"output.{i}-{j}" for i in "12" for j in "12"]
    assert [dict(h.features) for nbest in found for h in nbest.hypotheses] == [{}] * 4
    write(list_format, found, f"{tmp_path / 'out'}/")
    assert files_in(tmp_path / "out" / "output.1") == files_in(tmp_path / "output.1")
    # A directory of such directories.
    assert len(list(read(tmp_path / "out")[1])) == 4


def test_one_file_cannot_hold_them(tmp_path: Path) -> None:
    list_format, lists = read(make(tmp_path / "decode"))
    with pytest.raises(OptionError, match="espnet2 lists are directories, which cannot become one"):
        list(render(list_format, lists))


@pytest.mark.parametrize("name", ["score", "a/b"])
def test_names_of_new_files(tmp_path: Path, name: str) -> None:
    files = {name: text for name, text in FILES.items() if not name.endswith("t/score")}
    list_format, lists = read(make(tmp_path / "decode", files))
    changed: list[NBestList] = list(lists)
    if name != "score":
        changed = [n.with_feature(name, [0.0] * len(n.hypotheses)) for n in changed]
        with pytest.raises(OptionError, match="'a/b' cannot name a file of new scores"):
            write(list_format, changed, f"{tmp_path / 'out'}/")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"1best_recog/score": "spk1-utt1 tensor(-3.2)\n"},
            "score: no score of the utterance 'spk1",
        ),
        ({"1best_recog/score": "spk1-utt1 x\nspk1-utt2 1\n"}, "score, line 1: 'x' is no number"),
        (
            {"2best_recog/text": "spk1-utt1 a\nspk1-utt1 b\n"},
            "line 2: a second line of 'spk1-utt1'",
        ),
        ({"2best_recog/text": "spk1-utt1 a\n\n"}, "2best_recog/text, line 2: no utterance"),
        ({"2best_recog/text": "spk1-utt1 a\nspk1-utt2\nu\n"}, "'u' is not in 1best_recog/text"),
        ({"2best_recog/token": "u a\n"}, "2best_recog/token: the utterance 'u' is not in text"),
        ({"4best_recog/token": "u a\n"}, "4best_recog: no file 'text' with the hypotheses"),
    ],
)
def test_damage(tmp_path: Path, changed: dict[str, str], message: str) -> None:
    root = make(tmp_path / "decode", FILES | changed)
    with pytest.raises(InputError, match=message):
        list(read(root)[1])


def test_another_file(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("utt1 a\n")
    with pytest.raises(InputError, match="text: expected a directory with 1best_recog/text in it"):
        list(read(tmp_path / "text", "espnet2")[1])
