"""Several models at once: opened by name and path, as features side by side or as a mixture."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from lmscore.errors import ModelError, ModelNotFoundError, OptionError
from lmscore.files import is_file
from lmscore.names import Mix
from lmscore.runtime.arguments import check_unk_penalty
from lmscore.runtime.engine import SharingMethod
from lmscore.runtime.load import find_model, load
from lmscore.runtime.load_ngram import load_ngram
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.ngram import check_shares
from lmscore.runtime.rescoring.models.list_scorer import ListScorer, RecurrentScorer, WordScorer
from lmscore.runtime.rescoring.models.lodr import LODR, LodrScorer, open_lodr
from lmscore.runtime.rescoring.models.mixture import Mixture, fit_mixture
from lmscore.runtime.rescoring.models.ngram import NgramScorer, is_kenlm_binary, is_ngram_file

_NAMED = re.compile(r"([\w.-]+)=(.*)", re.DOTALL)


def open_scorers(
    lms: Sequence[str] = (),
    *,
    model: str | Path | None = None,
    name: str = "lm",
    mix: Mix | None = None,
    weights: Sequence[float] | None = None,
    texts: Iterable[str] | None = None,
    eos: bool = True,
    method: SharingMethod = "auto",
    device: str = "auto",
    variant: str | None = None,
    threads: int | None = None,
    trust: bool = False,
    unnormalized: bool = False,
    unk_penalty: float | None = None,
    lodr: str | Path | None = None,
) -> list[ListScorer]:
    """Open the models that lists are scored with: a feature for each, or one for their mixture.

    Args:
        lms: each `NAME=PATH`, or `PATH` if there is only one: a model directory, or an n-gram model
            in an ARPA file or a binary file of KenLM (extra `kenlm`).
        model: a model directory, where there are no `lms`. Default: as `lmscore.load` has it.
        name: of the feature, where there is one model without a name of its own, or a mixture.
        mix: "linear" makes one scorer of all `lms`, which interpolates them word by word.
        weights: of the mixture, in the order of the `lms`.
        texts: the sentences that the weights are fitted to instead.
        eos: whether </s> is scored.
        method: how lists go through a recurrent model, see `list_scoring.score_lists`.
        device: of recurrent models, as are variant, threads and trust; see `lmscore.load`.
        variant: the same for all of them.
        threads: of the CPU.
        unnormalized: score without the softmax, as `lmscore.load` says.
        unk_penalty: what an unknown word costs (nats) in n-gram models without <unk>, of which
            there must be one.
        lodr: an n-gram model of the recogniser's own training text in an ARPA file: one more
            feature, `lodr`, the last one. See `open_lodr`.

    Raises:
        OptionError: a name is missing, or given twice, or the options do not go together, or fit
            no model.
        ModelNotFoundError: there is nothing at a path.
        ModelError: a path holds something else than a model, or a damaged model.
        InputError: the models divide a text of `texts` into different words.
        MissingExtraError: ONNX Runtime or kenlm is not installed, or too old.
        VariantError: a model does not have the variant.
        DeviceError: the device cannot be used.
    """
    named = check_models(
        lms, model=model, name=name, mix=mix, weights=weights, texts=texts, lodr=lodr
    )
    check_unk_penalty(unk_penalty)
    load_model = partial(
        load,
        device=device,
        variant=variant,
        threads=threads,
        unnormalized=unnormalized,
        trust=trust,
    )
    if named:
        scorers: list[WordScorer] = [
            _open(*pair, load_model, eos=eos, method=method, unk_penalty=unk_penalty)
            for pair in named.items()
        ]
    else:
        has_use = lodr is None or is_file(find_model(model))
        lm = load_model(model, unk_penalty=unk_penalty if has_use else None)
        scorers = [RecurrentScorer(name, lm, eos, method)]
    beside = [] if lodr is None else [_open_lodr(lodr, scorers, eos=eos, unk_penalty=unk_penalty)]
    _check_unk_penalty(unk_penalty, [*scorers, *beside])
    if mix is None:
        return [*scorers, *beside]
    if texts is not None:
        return [fit_mixture(name, scorers, texts), *beside]
    return [Mixture(name, tuple(scorers), tuple(weights or ())), *beside]


def check_models(
    lms: Sequence[str] = (),
    *,
    model: str | Path | None = None,
    name: str = "lm",
    mix: Mix | None = None,
    weights: Sequence[float] | None = None,
    texts: object = None,
    lodr: object = None,
) -> dict[str, str]:
    """Check what `open_scorers` is told, as far as that goes before a file is opened.

    Returns:
        The paths of `lms` by name.

    Raises:
        OptionError: a name is missing, or given twice, or the options do not go together.
    """
    if lms and model is not None:
        raise OptionError("give the model either by `model` or by `lms`")
    if mix is None and (weights is not None or texts is not None):
        raise OptionError("`weights` and `texts` are for mix='linear'")
    if mix not in ("linear", None):
        raise OptionError(f"mix must be 'linear', not {mix!r}")
    if mix is not None and len(lms) < 2:
        raise OptionError("`mix` needs several models: NAME=PATH for each in `lms`")
    if mix is not None and (weights is None) == (texts is None):
        raise OptionError("`mix` needs `weights`, or `texts` to fit them to")
    if weights is not None:
        check_shares(weights, len(lms))
    named = _named(lms, name)
    if lodr is not None and LODR in (named or {name: ""}):
        raise OptionError(f"{LODR!r} is the name of the feature of `lodr`; give the model another")
    return named


def _named(lms: Sequence[str], name: str) -> dict[str, str]:
    if len(lms) == 1 and not _NAMED.fullmatch(lms[0]):
        return {name: lms[0]}
    named: dict[str, str] = {}
    for lm in lms:
        match = _NAMED.fullmatch(lm)
        if match is None:
            raise OptionError(f"`lms`, {lm}: each of several models needs a name: NAME=PATH")
        if match[1] in named:
            raise OptionError(f"`lms`, {lm}: there is another model of the name {match[1]!r}")
        named[match[1]] = match[2]
    return named


def _open(
    name: str,
    path: str,
    load_model: Callable[[str], LanguageModel],
    *,
    eos: bool,
    method: SharingMethod,
    unk_penalty: float | None,
) -> WordScorer:
    if path:  # or it is the default model
        path = str(find_model(path))
    if not path or Path(path).is_dir():
        return RecurrentScorer(name, load_model(path), eos, method)
    if not Path(path).exists():
        raise ModelNotFoundError(f"{path}: no such model directory or file")
    if not is_ngram_file(path):
        raise ModelError(
            f"{path}: neither a model directory nor an n-gram model: no ARPA file, and no binary "
            "file of KenLM"
        )
    if is_kenlm_binary(path):
        return NgramScorer.load(name, path, eos=eos, unk_penalty=unk_penalty)
    return RecurrentScorer(name, load_ngram(Path(path), unk_penalty=unk_penalty), eos, method)


def _open_lodr(
    path: str | Path, scorers: Sequence[WordScorer], *, eos: bool, unk_penalty: float | None
) -> LodrScorer:
    """The n-gram beside some models; the first of these has the token ids it may be over."""
    lm = next((scorer.lm for scorer in scorers if isinstance(scorer, RecurrentScorer)), None)
    return LodrScorer(open_lodr(path, lm, unk_penalty=unk_penalty), eos)


def _check_unk_penalty(unk_penalty: float | None, scorers: Sequence[ListScorer]) -> None:
    """Raise OptionError if the penalty is given and no model has use for it."""
    found = [_unk_penalty(scorer) for scorer in scorers]
    if unk_penalty is not None and all(penalty is None for penalty in found):
        raise OptionError("`unk_penalty` is for n-gram models without <unk>; no model is one")


def _unk_penalty(scorer: ListScorer) -> float | None:
    """What an unknown word costs (nats) where the model itself does not say, else None."""
    if isinstance(scorer, RecurrentScorer):
        return scorer.lm.unk_penalty
    if isinstance(scorer, LodrScorer):
        return scorer.lodr.ngram.unk_penalty
    return scorer.unk_penalty if isinstance(scorer, NgramScorer) else None
