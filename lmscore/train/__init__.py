"""Training in PyTorch: text files in, a model directory out. Needs the extra `train`."""

from lmscore.errors import needs_extra

with needs_extra("train"):
    from lmscore.train.options import TrainOptions, make_options, read_toml
    from lmscore.train.record import resumed_options
    from lmscore.train.run import train
    from lmscore.train.trainer import Status

__all__ = ["Status", "TrainOptions", "make_options", "read_toml", "resumed_options", "train"]
