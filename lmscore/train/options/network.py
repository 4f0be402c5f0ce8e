"""The layers of a model, and the weights that they begin with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from lmscore.names import Cell, Connections, OutputLayer, RecurrentInit
from lmscore.train.options.declaration import NOT_NEGATIVE, SIZE, Bounds, Option, OptionGroup


@dataclass(frozen=True, kw_only=True)
class NetworkOptions(OptionGroup):
    """Options of the network and its first weights."""

    heading: ClassVar[str] = "Network"

    cell: Annotated[Cell, Option("What a layer is made of.")] = "lstm"
    hidden_size: Annotated[
        int, Option("Units of each layer, and the size of the embedding.", "H", SIZE)
    ] = 512
    embedding_size: Annotated[
        int | None,
        Option(
            "Size of the embedding where it is another; a tied network projects H to E.",
            "E",
            SIZE,
            default="H",
        ),
    ] = None
    layers: Annotated[int, Option("Number of recurrent layers.", "L", SIZE)] = 1
    window_size: Annotated[
        int | None,
        Option(
            "Number of tokens that the cell window reads at once.",
            "N",
            Bounds(at_least=2, below=1 << 10),
            default="5",
        ),
    ] = None
    connections: Annotated[
        Connections,
        Option(
            "What becomes of a layer's input beside its output: nothing (plain); it is added "
            "(residual) or mixed in by a gate (highway), both from the second layer on; or all "
            "layers above read it, too (dense)."
        ),
    ] = "plain"
    tied: Annotated[
        bool, Option("Whether embedding and output share one matrix.", flags=("--tied/--untied",))
    ] = True
    output_layer: Annotated[
        OutputLayer,
        Option(
            "Softmax over all words; or, for big vocabularies, over frequent words and classes of "
            "the others, which are computed where they are needed (classes)."
        ),
    ] = "softmax"
    cutoffs: Annotated[
        tuple[int, ...], Option("Ids at which classes begin. Default: by their cost.", "ID,ID,...")
    ] = ()
    self_normalize: Annotated[
        float,
        Option(
            "Learn scores that need no softmax: A * (log Z)^2 joins the loss (0.1).",
            "A",
            NOT_NEGATIVE,
        ),
    ] = 0.0
    learn_initial_state: Annotated[
        bool, Option("Learn the state that a text begins with, which is zeros otherwise.")
    ] = False
    recurrent_init: Annotated[
        RecurrentInit, Option("First recurrent weights of rnn cells; identity is for rnn-relu.")
    ] = "orthogonal"
    embeddings: Annotated[
        str | None,
        Option(
            "Word vectors to begin with, in the text format of word2vec or GloVe; their size is "
            "--embedding-size.",
            "FILE",
            path=True,
        ),
    ] = None
    init_from: Annotated[
        str | None,
        Option(
            "Go on from this model: its weights, tokenizer and sizes. A lower --learning-rate "
            "suits (0.001).",
            "MODEL",
            path=True,
        ),
    ] = None
