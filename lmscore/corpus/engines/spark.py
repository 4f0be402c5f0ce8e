"""Spark: a function for `DataFrame.mapInArrow`; it needs no package beside Spark's own.

from pyspark.sql.types import DoubleType, StructField, StructType

add = map_in_arrow(TextScorer("/models/lm", columns=["log_prob"]))
schema = StructType([*df.schema.fields, StructField("log_prob", DoubleType())])
scored = df.mapInArrow(add, schema)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from lmscore.corpus import TextScorer

Batches = Iterable[Any]  # of pyarrow.RecordBatch


def map_in_arrow(scorer: TextScorer) -> Callable[[Batches], Iterator[Any]]:
    """A generator function that scores the record batches of a partition.

    Spark sends it to its workers by pickle, and there the first batch loads the model. The schema
    that `mapInArrow` is given needs the columns that the scorer adds, at the end: numbers are
    DoubleType, counts LongType, a bucket StringType.
    """

    def scored(batches: Batches) -> Iterator[Any]:
        for batch in batches:
            yield scorer(batch)

    return scored
