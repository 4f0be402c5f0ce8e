"""Files of lattices: formats, folders, errors."""

from __future__ import annotations

import gzip
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmscore.errors import InputError, LmscoreError, OptionError
from lmscore.runtime.rescoring.lattices import (
    detect,
    n_best,
    open_lattices,
    read_lattices,
    render_lattices,
    write_lattices,
)
from tests.runtime.rescoring.lattices.conftest import ReadText
from tests.runtime.rescoring.lattices.test_kaldi import COMPACT, UNCOMPACTED
from tests.runtime.rescoring.lattices.test_slf import ON_LINKS, ON_NODES


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (COMPACT, "kaldi-lattice"),
        (UNCOMPACTED, "kaldi-lattice"),
        ("utt\n\n", "kaldi-lattice"),
        ("utt \n0\n", "kaldi-lattice"),
        ("utt-1\nutt-2 the\n", None),
        ("utt-1\n", None),
        ("\n\nutt 1\n0 1 the\n", "kaldi-lattice"),
        (ON_LINKS, "htk-slf"),
        (ON_NODES, "htk-slf"),
        ("VERSION=1.0\nNODES=4 LINKS=4\n", "htk-slf"),
        ("", None),
        ("just a text\nof two lines\n", None),
        ("0 ||| a ||| lm= 1 ||| 1\n", None),
    ],
)
def test_detection(head: str, expected: str | None) -> None:
    found = detect(head)
    assert (found and found.name) == expected


def test_a_folder_and_back(tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    (source / ".hidden").write_text("what")
    (source / "a.lat").write_text(ON_LINKS)
    (source / "b.lat.gz").write_bytes(gzip.compress(ON_NODES.encode()))
    lattices = list(read_lattices(source))
    assert [lattice.id for lattice in lattices] == ["utt 1", "b"]
    write_lattices(lattices, f"{target}/", "htk-slf")
    assert (target / "a.lat").read_text() == ON_LINKS
    assert gzip.decompress((target / "b.lat.gz").read_bytes()).decode() == ON_NODES
    with pytest.raises(OptionError, match=r"a.lat: would be the file of two lattices, 'utt 1'"):
        write_lattices([lattices[0]] * 2, target, "htk-slf")
    with pytest.raises(OptionError, match=r"out: is a directory, but kaldi-lattice is one"):
        write_lattices(lattices, target, "kaldi-lattice")


def test_many_files_of_one_format(tmp_path: Path) -> None:
    for name in ("a.lat", "b.lat", "c.lat"):
        (tmp_path / name).write_text(ON_NODES)
    (tmp_path / "list").write_text(f"{tmp_path / 'b.lat'}\n{tmp_path / 'a.lat'}\n")
    paths = [f"@{tmp_path / 'list'}", str(tmp_path / "c.lat")]
    lattice_format, lattices = open_lattices(paths)
    assert lattice_format.name == "htk-slf"
    assert [lattice.id for lattice in lattices] == ["b", "a", "c"]
    with pytest.raises(OptionError, match=r"^no file with lattices$"):
        open_lattices([])


def test_one_file_of_htk_holds_one_lattice(read_text: ReadText) -> None:
    with pytest.raises(OptionError, match=r"^a file of htk-slf holds one lattice: write into a di"):
        list(render_lattices(read_text(ON_LINKS) * 2, "htk-slf"))


@pytest.mark.parametrize(
    ("text", "options", "error", "message"),
    [
        ("", {}, InputError, "empty, there is no lattice in it"),
        ("a text\nof lines\n", {}, InputError, "cannot tell the lattice format from the first lin"),
        ("utt \0B\n", {}, InputError, "not a text; write archives of Kaldi's as ark,t with latti"),
        (ON_LINKS, {"symbols": "a 1\n"}, OptionError, "htk-slf has no use for a symbol"),
        ("utt\n\nutt\n\n", {}, InputError, "a second lattice 'utt'; give every lattice an id of i"),
    ],
)
def test_errors(
    read_text: ReadText,
    text: str,
    options: dict[str, str],
    error: type[LmscoreError],
    message: str,
) -> None:
    with pytest.raises(error, match=f"lat: {message}"):
        read_text(text, **options)


def test_a_format_that_there_is_not(read_text: ReadText, tmp_path: Path) -> None:
    message = "^no lattice format 'fsm'; there are kaldi-lattice, htk-slf, "
    with pytest.raises(OptionError, match=message):
        read_text(COMPACT, "fsm")
    with pytest.raises(OptionError, match=message):
        list(render_lattices([], "fsm"))
    with pytest.raises(OptionError, match=message):
        write_lattices([], tmp_path, "fsm")


@settings(max_examples=300)
@given(
    st.sampled_from((COMPACT, UNCOMPACTED, ON_LINKS, ON_NODES, "base=0\n" + ON_NODES)),
    st.integers(0, 300),
    st.integers(0, 20),
    st.sampled_from(("", "9", "-1", " ", "\n", "=", '"', "\\", ",", "nan", "1e999", "0" * 5000)),
    st.sampled_from((None, "htk-slf", "kaldi-lattice")),
)
def test_what_is_damaged_is_an_error_or_a_lattice(
    text: str, start: int, length: int, put: str, lattice_format: str | None
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lattice"
        path.write_text(text[:start] + put + text[start + length :])
        with suppress(LmscoreError):
            lattices = list(read_lattices(path, lattice_format))
            assert all(n_best(lattice, 2) for lattice in lattices)
