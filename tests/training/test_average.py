import torch
from torch import nn

from lerenet.training.average import MovingAverage


def _set(network: nn.Module, value: float) -> None:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(value)


def _first(network: nn.Module) -> float:
    return next(network.parameters()).flatten()[0].item()


def test_average_starts_as_a_copy_in_evaluation_mode() -> None:
    source = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).train()
    average = MovingAverage(source, 0.9).network
    assert not average.training
    assert not any(p.requires_grad for p in average.parameters())
    torch.testing.assert_close(average.state_dict(), source.state_dict())


def test_average_follows_the_warm_up_rule_in_its_first_updates() -> None:
    source = nn.Linear(1, 1)
    _set(source, 0.0)
    average = MovingAverage(source, 0.999)
    _set(source, 1.0)
    average.update(source)
    assert _first(average.network) == torch.tensor(0.9)
    average.update(source)
    # 2 / 11 of the old value stays at the second update.
    torch.testing.assert_close(_first(average.network), 1 - 0.1 * 2 / 11, rtol=1e-6, atol=0)


def test_average_keeps_its_decay_when_the_warm_up_is_over() -> None:
    source = nn.Linear(1, 1)
    _set(source, 0.0)
    average = MovingAverage(source, 0.5)
    average.n_updates = 1000
    _set(source, 1.0)
    average.update(source)
    assert _first(average.network) == 0.5


def test_average_copies_buffers() -> None:
    source = nn.BatchNorm1d(3)
    average = MovingAverage(source, 0.9)
    source(torch.randn(16, 3, generator=torch.Generator().manual_seed(0)) + 5)
    average.update(source)
    torch.testing.assert_close(average.network.running_mean, source.running_mean)
    assert average.network.num_batches_tracked == 1


def test_average_leaves_its_source_alone() -> None:
    source = nn.Linear(1, 1)
    _set(source, 2.0)
    average = MovingAverage(source, 0.9)
    _set(source, 1.0)
    average.update(source)
    assert _first(source) == 1
