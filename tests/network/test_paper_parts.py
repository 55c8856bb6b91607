"""The parts of the published network against their formulas, written out a second time."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lerenet.network.encoding import SupportEncoding
from lerenet.network.features import Features
from lerenet.network.paper.gei import GEI
from lerenet.network.paper.ifm import IFM
from lerenet.network.paper.mpe import MPE
from lerenet.network.paper.mpr import MPR, Pairing
from lerenet.network.paper.support import DESCRIPTORS, SupportPool

C = 32


def query_features(mpr: MPR, maps: Tensor) -> Features:
    size = (4 * maps.shape[-2], 4 * maps.shape[-1])
    plain = Features((maps,), size, {})
    return replace(plain, shared=mpr.shared(plain))


def random_pair() -> tuple[Tensor, SupportEncoding]:
    """A query map (2, C, 6, 5) and descriptors of the same shape, marked in the upper half."""
    torch.manual_seed(2)
    descriptors = torch.rand(2, C, 6, 5)
    descriptors[:, :, 3:] = 0.0
    return torch.rand(2, C, 6, 5), SupportEncoding({DESCRIPTORS: descriptors})


def random_mpr(pairing: Pairing = "cross", *, normalise: bool = False) -> MPR:
    torch.manual_seed(3)
    return MPR(C, pairing=pairing, normalise=normalise).eval()


def test_support_pool_averages_masked_maps_by_position() -> None:
    torch.manual_seed(0)
    maps = torch.rand(4, C, 5, 5)
    masks = torch.zeros(4, 20, 20, dtype=torch.uint8)
    masks[[0, 2]] = 1
    shots = torch.tensor([[0, 1], [3, 2], [0, 2]])
    descriptors = SupportPool()(Features((maps,), (20, 20), {}), masks, shots).tensors[DESCRIPTORS]
    torch.testing.assert_close(descriptors, torch.stack([maps[0] / 2, maps[2] / 2, (maps[0] + maps[2]) / 2]))


def permuted(encoding: SupportEncoding) -> SupportEncoding:
    descriptors = encoding.tensors[DESCRIPTORS]
    order = torch.randperm(descriptors[0, 0].numel(), generator=torch.Generator().manual_seed(4))
    return SupportEncoding({DESCRIPTORS: descriptors.flatten(2)[:, :, order].reshape(descriptors.shape)})


@pytest.mark.parametrize(("pairing", "is_locked"), [("cross", True), ("self", False)])
def test_mpr_depends_on_support_positions_only_when_pairing_crosses(pairing: Pairing, is_locked: bool) -> None:
    mpr = random_mpr(pairing)
    maps, encoding = random_pair()
    with torch.inference_mode():
        query = query_features(mpr, maps)
        moved = mpr(query, permuted(encoding)) - mpr(query, encoding)
    assert (float(moved.abs().max()) > 1e-2) == is_locked


def test_mpr_depends_on_the_support_when_pairing_with_itself() -> None:
    mpr = random_mpr("self")
    maps, encoding = random_pair()
    with torch.inference_mode():
        query = query_features(mpr, maps)
        other = SupportEncoding({DESCRIPTORS: 2 * encoding.tensors[DESCRIPTORS]})
        assert float((mpr(query, other) - mpr(query, encoding)).abs().max()) > 1e-2


def mpr_written_out(mpr: MPR, query: Tensor, support: Tensor) -> Tensor:
    """Section 1.3 of the specification with every sum over an axis spelled."""

    def projected(conv: nn.Conv2d, maps: Tensor) -> Tensor:
        assert conv.bias is not None
        return torch.einsum("oc,bcl->bol", conv.weight[:, :, 0, 0], maps.flatten(2)) + conv.bias[:, None]

    xd, yd = projected(mpr.phi, support), projected(mpr.phi, query)
    xv, yv = projected(mpr.theta, support), projected(mpr.theta, query)
    g = torch.cat([torch.einsum("bdl,bvl->bdv", xd, yv), torch.einsum("bdl,bvl->bdv", yd, xv)], dim=2)
    g = g / query[0, 0].numel() if mpr.normalise else g
    adjacency_bias, merge_bias = mpr.adjacency.bias, mpr.merge.bias
    assert adjacency_bias is not None
    assert merge_bias is not None
    h1 = g + torch.einsum("uv,bdv->bdu", mpr.adjacency.weight[:, :, 0], g) + adjacency_bias
    h2 = torch.einsum("ed,bdv->bev", mpr.state_update.weight[:, :, 0], h1.clamp_min(0))
    h3 = torch.einsum("uv,bdv->bdu", mpr.merge.weight[:, :, 0], h2) + merge_bias
    r = torch.einsum("bdv,bvl->bdl", h3, yv).reshape(query.shape)
    expanded = torch.einsum("od,bdhw->bohw", mpr.expand.weight[:, :, 0, 0], r)
    result: Tensor = query + expanded / (1 + 1e-4) ** 0.5  # batch norm as initialised: mean 0, variance 1, eps 1e-4
    return result


@pytest.mark.parametrize("normalise", [False, True])
def test_mpr_equals_its_formula(normalise: bool) -> None:
    mpr = random_mpr(normalise=normalise)
    maps, encoding = random_pair()
    with torch.inference_mode():
        expected = mpr_written_out(mpr, maps, encoding.tensors[DESCRIPTORS])
        torch.testing.assert_close(mpr(query_features(mpr, maps), encoding), expected, rtol=1e-4, atol=1e-4)


def test_mpr_stays_finite_under_half_precision_autocast() -> None:
    mpr = random_mpr()
    maps, encoding = random_pair()
    large = SupportEncoding({DESCRIPTORS: 200 * encoding.tensors[DESCRIPTORS]})
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.float16):
        assert mpr(query_features(mpr, 200 * maps), large).isfinite().all()


def test_mpe_equals_its_formula() -> None:
    torch.manual_seed(3)
    mpe = MPE(C).eval()
    maps, encoding = random_pair()
    squeeze, squeeze_bias, widen, widen_bias, spatial = (p.squeeze() for p in mpe.parameters())
    with torch.inference_mode():
        u = maps * encoding.tensors[DESCRIPTORS].mean((2, 3))[:, :, None, None]
        hidden = F.linear(u.mean((2, 3)), squeeze, squeeze_bias).relu()
        u1 = u * F.linear(hidden, widen, widen_bias).sigmoid()[:, :, None, None]
        expected = u1 * torch.einsum("c,bchw->bhw", spatial, u1).sigmoid()[:, None]
        torch.testing.assert_close(mpe(Features((maps,), (24, 20), {}), encoding), expected)


def test_mpe_is_silent_when_nothing_is_marked() -> None:
    mpe = MPE(C).eval()
    maps, encoding = random_pair()
    unmarked = SupportEncoding({DESCRIPTORS: torch.zeros_like(encoding.tensors[DESCRIPTORS])})
    with torch.inference_mode():
        assert (mpe(Features((maps,), (24, 20), {}), unmarked) == 0).all()


def test_gei_is_the_cosine_of_equal_positions() -> None:
    maps, encoding = random_pair()
    gei = GEI()(Features((maps,), (24, 20), {}), encoding)
    support = encoding.tensors[DESCRIPTORS]
    expected = (maps * support).sum(1) / (maps.norm(dim=1) * support.norm(dim=1)).clamp_min(1e-8)
    torch.testing.assert_close(gei[:, 0], expected)


def test_gei_keeps_float32_under_autocast() -> None:
    maps, encoding = random_pair()
    query = Features((maps,), (24, 20), {})
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert GEI()(query, encoding).dtype == torch.float32


def test_ifm_equals_its_formula() -> None:
    torch.manual_seed(3)
    ifm = IFM(C).eval()
    mpr, mpe, prior = torch.randn(2, C, 6, 5), torch.randn(2, C, 6, 5), torch.randn(2, 1, 6, 5)
    weights = dict(ifm.named_parameters())
    with torch.inference_mode():
        z1 = F.conv2d(torch.cat([mpr, mpe, prior], 1), weights["reduce.0.weight"]).relu()
        inner = F.conv2d(z1, weights["refine.0.weight"], padding=1).relu()
        z2 = F.conv2d(inner, weights["refine.2.weight"], padding=1).relu() + z1
        hidden = F.conv2d(z2, weights["classify.0.weight"], padding=1).relu()
        scores = F.conv2d(hidden, weights["classify.3.weight"], weights["classify.3.bias"])
        logits = ifm(mpr, mpe, prior, (24, 20))
    assert logits.shape == (2, 2, 24, 20)
    # With aligned corners the corner cells keep their values exactly where they are.
    torch.testing.assert_close(
        logits[:, :, [0, 0, -1, -1], [0, -1, 0, -1]], scores[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]
    )


def test_ifm_drops_a_tenth_of_its_channels_in_training() -> None:
    assert [m.p for m in IFM(C).modules() if isinstance(m, nn.Dropout2d)] == [0.1]
