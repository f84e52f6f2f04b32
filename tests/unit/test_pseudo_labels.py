"""Pseudo-classes: k-means as it is defined, seeded, and the same on every run."""

from dataclasses import replace

import pytest
import torch
from threadpoolctl import threadpool_limits

from srdistill.papers.labelfree.patch_features import patch_features
from srdistill.papers.labelfree.patch_pool import candidate_patches
from srdistill.papers.labelfree.pseudo_labels import cluster, pseudo_labelled_patches
from srdistill.papers.labelfree.selection import Selection
from srdistill.sets.distilled_set import SelectionError

CUT = Selection(stride=8, quantile=0.5)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def features(pictures):
    return patch_features(candidate_patches(pictures, size=32, selection=CUT), "hog")


def test_every_patch_belongs_to_its_nearest_centre(features):
    found = cluster(features, 7, seeded())
    apart = (features[:, None] - found.centres).square().sum(2).sqrt()
    assert torch.equal(found.labels, apart.argmin(1)) and found.labels.dtype == torch.int64
    assert torch.allclose(found.distances, apart.min(1).values)
    assert found.inertia == pytest.approx(float(apart.min(1).values.square().sum()))
    means = torch.stack([features[found.labels == label].mean(0) for label in range(7)])
    assert torch.allclose(found.centres, means, atol=1e-8)


def test_clear_groups_are_found():
    generator = seeded(3)
    truth = torch.arange(7).repeat(30)
    points = 10 * torch.eye(7, 12)[truth] + torch.randn(210, 12, generator=generator)
    found = cluster(points, 7, seeded())
    # One found label for each true one.
    assert len({(a, b) for a, b in zip(truth.tolist(), found.labels.tolist(), strict=True)}) == 7


def test_labels_depend_on_the_seed_alone(features):
    first = cluster(features, 7, seeded(4), n_init=1)
    advanced = seeded(4)
    torch.rand(9, generator=advanced)
    with threadpool_limits(limits=2):
        second = cluster(features, 7, advanced, n_init=1)
    assert torch.equal(first.labels, second.labels) and torch.equal(first.centres, second.centres)
    assert torch.equal(first.distances, second.distances) and first.inertia == second.inertia
    others = [cluster(features, 7, seeded(seed), n_init=1) for seed in (5, 6, 7)]
    assert any(not torch.equal(first.labels, other.labels) for other in others)


def test_more_starts_are_never_worse(features):
    assert cluster(features, 7, seeded(), n_init=10).inertia <= cluster(features, 7, seeded(), n_init=1).inertia + 1e-9


def test_too_few_patches_for_the_clusters(features):
    with pytest.raises(SelectionError, match="5 patches cannot form 7 clusters; raise threshold or quantile"):
        cluster(features[:5], 7, seeded())
    with pytest.raises(SelectionError, match="20 patches form 2 clusters instead of 3: too many look the same"):
        cluster(features[:2].repeat(10, 1), 3, seeded())
    assert cluster(features[:7], 7, seeded()).inertia == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("given", [{"clusters": 0}, {"clusters": 3, "n_init": 0}])
def test_impossible_settings_are_refused(features, given):
    with pytest.raises(SelectionError, match="clusters and n_init must be 1 or more"):
        cluster(features, generator=seeded(), **given)


def test_pool_has_the_candidates_and_their_classes(pictures, features):
    pool = pseudo_labelled_patches(pictures, size=32, generator=seeded(), selection=replace(CUT, clusters=5))
    plain = candidate_patches(pictures, size=32, selection=CUT)
    for name in ("picture", "top", "left", "score"):
        assert torch.equal(getattr(pool, name), getattr(plain, name))
    expected = cluster(features, 5, seeded())
    assert torch.equal(pool.label, expected.labels) and torch.equal(pool.distance, expected.distances)
    assert pool.classes == 5 and pool.class_sizes.tolist() == [int((pool.label == k).sum()) for k in range(5)]
    settings = {"clusters": 5, "features": "hog", "normalise": True, "n_init": 10}
    assert pool.settings.items() >= (plain.settings | settings).items()


def test_members_of_a_class_come_nearest_first(pictures):
    pool = pseudo_labelled_patches(pictures, size=32, generator=seeded(), selection=replace(CUT, clusters=5))
    found = [pool.members(label) for label in range(5)]
    assert torch.equal(torch.cat(found).sort().values, torch.arange(len(pool)))
    for label, members in enumerate(found):
        assert (pool.label[members] == label).all() and (pool.distance[members].diff() >= 0).all()
    unlabelled = replace(pool, label=torch.zeros_like(pool.label), distance=torch.full_like(pool.distance, torch.nan))
    assert torch.equal(unlabelled.members(0), torch.arange(len(pool)))


def test_features_are_named_in_the_settings(pictures):
    def brightness(images):
        return images.float().mean((2, 3))

    selection = replace(CUT, clusters=2, features=brightness, normalise=False)
    pool = pseudo_labelled_patches(pictures, size=32, generator=seeded(), selection=selection)
    assert pool.settings["features"].endswith("brightness")
    # One class is darker than the other throughout, up to what three channels allow.
    means = pool.images().float().mean((1, 2, 3))
    assert abs(float(means[pool.label == 0].mean() - means[pool.label == 1].mean())) > 30


def test_too_high_a_demand_on_real_pictures_is_refused_before_features_are_made(pictures):
    def never(images):
        raise AssertionError("features were computed")

    with pytest.raises(SelectionError, match="none of .* scores below 5 dB"):
        pseudo_labelled_patches(pictures, size=32, generator=seeded(), selection=Selection(threshold=5.0, features=never))
    selection = Selection(stride=32, quantile=0.2, overlap=0.0, features=never)
    few = len(candidate_patches(pictures, size=32, selection=selection))
    assert 0 < few < 7
    with pytest.raises(SelectionError, match=f"{few} patches cannot form 7 clusters"):
        pseudo_labelled_patches(pictures, size=32, generator=seeded(), selection=selection)
