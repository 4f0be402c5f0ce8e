"""Averages of weights, against means taken by hand."""

from __future__ import annotations

import pytest
import torch

from lmscore.train.averaging import WeightAverage
from lmscore.train.network import RecurrentLM
from tests.train.toy import toy_config


class Run:
    """A network whose output bias is set to one number after another."""

    def __init__(self, kind: str, decay: float = 0.9) -> None:
        self.network = RecurrentLM(toy_config(4))
        self.average = WeightAverage(self.network, kind, decay)

    def update(self, *values: float) -> None:
        for value in values:
            with torch.no_grad():
                self.network.head.bias.fill_(value)
            self.average.update()

    @property
    def averaged(self) -> float:
        with self.average.in_place():
            return self.network.head.bias[0].item()


def test_the_mean_of_all() -> None:
    run = Run("asgd")
    run.update(1.0, 2.0, 6.0)
    assert run.averaged == pytest.approx(3.0)
    assert run.network.head.bias[0].item() == 6.0  # the weights are back


def test_an_exponential_mean() -> None:
    run = Run("ema", decay=0.25)
    run.update(8.0, 4.0, 2.0)
    # The decays are 2/11, 3/12 and 0.25, which is less than 4/13.
    expected = 8.0
    for value, decay in ((4.0, 3 / 12), (2.0, 0.25)):
        expected = decay * expected + (1 - decay) * value
    assert run.averaged == pytest.approx(expected)


def test_it_begins_where_the_loss_stops_falling() -> None:
    run = Run("nt-asgd")
    for step, loss in enumerate([5.0, 4.0, 4.5, 4.4, 4.3, 4.2]):
        run.update(float(step))
        run.average.evaluated(loss)
    run.update(10.0)
    run.average.evaluated(4.6)  # better than 5.0, the best of those more than five ago
    assert run.averaged == 10.0  # nothing is averaged yet
    run.update(11.0)
    run.average.evaluated(4.1)  # worse than 4.0
    run.update(20.0, 40.0)
    assert run.averaged == pytest.approx(30.0)


def test_no_average() -> None:
    run = Run("none")
    run.update(1.0, 2.0)
    run.average.evaluated(1.0)
    assert run.averaged == 2.0
    assert run.average.state_dict()["averages"] == []
