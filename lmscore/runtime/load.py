"""Find a model directory, choose a variant and a device, and load them."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lmscore.bundle import CONFIG_FILE, FINISH, FP16, FP32, INT8, Bundle, is_unfinished
from lmscore.errors import DeviceError, ModelNotFoundError, OptionError, VariantError
from lmscore.files import is_file
from lmscore.hub import located
from lmscore.runtime.arguments import check_unk_penalty
from lmscore.runtime.engine import (
    CPU,
    CUDA,
    Engine,
    default_device,
    find_providers,
    import_onnxruntime,
)
from lmscore.runtime.load_ngram import check_ngram_options, load_ngram
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.text import TextTokenizer

MODEL_VARIABLE = "LMSCORE_MODEL"
BUNDLED_MODELS = Path(__file__).parents[1] / "models"  # named by their folders
BUNDLED_MODEL = BUNDLED_MODELS / "english"

_ON_CPU = (INT8, FP32)  # best first
_ON_ACCELERATORS = (FP16, FP32)  # ONNX Runtime's int8 kernels are for the CPU

HAS_UNK = (
    "`unk_penalty` is for n-gram models without <unk>; this one has a probability for unknown words"
)

_log = logging.getLogger("lmscore")


def load(
    path: str | Path | None = None,
    *,
    device: str = "auto",
    variant: str | None = None,
    threads: int | None = None,
    providers: Sequence[str] | None = None,
    unnormalized: bool = False,
    trust: bool = False,
    unk_penalty: float | None = None,
) -> LanguageModel:
    """Load a language model.

    Args:
        path: a model directory; an n-gram model in an ARPA file; "org/name" or
            "org/name@revision" on the Hub; the URL of an archive; "english" or
            "english-small", which are bundled. What is fetched once is kept. Default:
            $LMSCORE_MODEL, else "english".
        device: "auto" ($LMSCORE_DEVICE, else CUDA where it works, else CPU), "cpu", "cuda" or
            "cuda:1".
        variant: "int8", "fp32", ... Default: int8 on CPU; elsewhere fp16, or fp32 without one.
        threads: CPU threads of one scoring call. Default: one per core.
        providers: ONNX Runtime execution providers by name, instead of `device`.
        unnormalized: score texts and lists without the softmax, at a cost that does not grow with
            the vocabulary. Scores then lack log Z, which a model trained for it keeps near 0.
            Everything else (`step`, sampling, next words) stays exact.
        trust: load a tokenizer.json whatever its steps may do to a text: for models of people whom
            you trust. See "What a model directory may do" in docs/model.md.
        unk_penalty: what an unknown word costs (nats) in an ARPA file without <unk>. Default:
            230.26, for a probability of 10^-100, as in KenLM.

    Raises:
        ModelNotFoundError: there is no such directory, or a file is missing in it.
        ModelError: a file is damaged or no ARPA file, or the files do not fit each other.
        VariantError: the variant, or any that suits the device, was not exported.
        DeviceError: a device or provider asked for by name cannot be used.
        MissingExtraError: ONNX Runtime is not installed, installed twice, or too old for the cell.
        OptionError: an argument has an impossible value, or unnormalized for a model that was not
            trained for it, or unk_penalty for one that has a probability of <unk>.
    """
    check_unk_penalty(unk_penalty)
    found = find_model(path)
    if is_file(found):  # model directories are the other kind
        check_ngram_options(found, device, variant, providers, unnormalized=unnormalized)
        lm = load_ngram(found, unk_penalty=unk_penalty)
        if unk_penalty is not None and lm.unk_penalty is None:
            raise OptionError(f"{found}: {HAS_UNK}")
        return lm
    if unk_penalty is not None:
        raise OptionError(f"{found}: {HAS_UNK}")
    bundle = Bundle.read(found)
    open_engine = functools.partial(Engine.load, bundle, threads=threads, unnormalized=unnormalized)
    engine = _load_engine(bundle, open_engine, variant, device, providers)
    again = functools.partial(
        _load_again,
        bundle.path.absolute(),
        bundle.identity(engine.variant),
        device=device,
        variant=engine.variant,
        threads=threads,
        providers=providers,
        unnormalized=unnormalized,
        trust=trust,
    )
    tokenizer = TextTokenizer.load(bundle, trust=trust)
    return LanguageModel(bundle, engine, tokenizer, reload=again)


def _load_again(path: Path, identity: tuple[str, str], **options: Any) -> LanguageModel:
    """Load a model in another process; raises ModelError if another one has taken its place."""
    Bundle.read(path).check_identity(options["variant"], identity)
    return load(path, **options)


def chosen_model(path: str | Path | None = None) -> str | Path | None:
    """The model that is named: by `path`, else by $LMSCORE_MODEL; "" or None for the default."""
    return path if path is not None else os.environ.get(MODEL_VARIABLE)


def find_model(path: str | Path | None = None) -> Path:
    """The model directory that `load` takes: `path`, else $LMSCORE_MODEL, else the bundled one.

    What is no path, but a name of the Hub or a URL, is fetched, unless it was before.

    Raises:
        OptionError: `path` is not a path.
        ModelNotFoundError: none is given, and this installation has no bundled model; or the name
            is none that can be fetched.
        ModelError: what was fetched is no model.
    """
    given: object = path
    if not isinstance(given, str | os.PathLike | None):
        raise OptionError(f"the model must be the path of a directory, not {given!r}")
    chosen = chosen_model(path)
    if chosen:
        bundled = bundled_models().get(str(chosen))
        return bundled if bundled and not Path(chosen).exists() else located(chosen)
    if path is not None:
        raise ModelNotFoundError("the model directory's name is empty")
    if not BUNDLED_MODEL.is_dir():
        raise ModelNotFoundError(
            "no bundled model in this installation: "
            f"name a model directory, or set {MODEL_VARIABLE} to one"
        )
    return BUNDLED_MODEL


def bundled_models() -> dict[str, Path]:
    """The models that came with this installation, by name."""
    return {
        file.parent.name: file.parent for file in sorted(BUNDLED_MODELS.glob(f"*/{CONFIG_FILE}"))
    }


def _load_engine(
    bundle: Bundle,
    open_engine: Callable[..., Engine],
    variant: str | None,
    device: str,
    providers: Sequence[str] | None,
) -> Engine:
    if providers is None:
        device = default_device(device)
    if providers is None and device == "auto":
        return _load_engine_anywhere(bundle, open_engine, variant)
    find_providers(device, providers)  # raises for an impossible device before choosing a variant
    on_cpu = device == "cpu" if providers is None else list(providers[:1]) == [CPU]
    preferred = _ON_CPU if on_cpu else _ON_ACCELERATORS
    open_engine = functools.partial(open_engine, device=device, providers=providers)
    try:
        return open_engine(variant or _exported(bundle, preferred))
    except VariantError:
        for other in bundle.variants()[:1] if preferred is _ON_ACCELERATORS else ():
            open_engine(other)  # if the device does not work, this raises the more useful error
        raise


def _load_engine_anywhere(
    bundle: Bundle, open_engine: Callable[..., Engine], variant: str | None
) -> Engine:
    """Load on CUDA if it works and there is a variant for it, else on the CPU."""
    for_cuda = [v for v in _ON_ACCELERATORS if v in bundle.variants() and variant in (None, v)]
    if for_cuda and CUDA in import_onnxruntime().get_available_providers():
        try:
            return open_engine(for_cuda[0], device="cuda")
        except DeviceError as error:
            _log.info("using the CPU: %s", error)
    return open_engine(variant or _exported(bundle, _ON_CPU), device="cpu")


def _exported(bundle: Bundle, preferred: Sequence[str]) -> str:
    there = bundle.variants()
    for variant in preferred:
        if variant in there:
            return variant
    if not there:
        cure = f"make one: lmscore export {bundle.path}"
        raise VariantError(
            f"{bundle.path}: no exported graph; {FINISH if is_unfinished(bundle.path) else cure}"
        )
    raise VariantError(
        f"{bundle.path}: none of {', '.join(preferred)} is exported (there: {', '.join(there)}); "
        f"lmscore export {bundle.path}, or ask for a variant by name"
    )
