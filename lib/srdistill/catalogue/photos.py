"""The embedded photographs: colour pictures that the scikit-image, scikit-learn and matplotlib wheels ship.

Real photographs without a download, for the profiles that run on a laptop. The split is fixed by name; no picture
is in both halves.
"""

from importlib.resources import as_file, files

from srdistill.images.pictures import Pictures, read_picture

_PLACES = {
    "skimage": ("data", ("astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "ihc.png",
                         "motorcycle_left.png", "retina.jpg", "rocket.jpg")),
    "sklearn": ("datasets/images", ("china.jpg", "flower.jpg")),
    "matplotlib": ("mpl-data/sample_data", ("grace_hopper.jpg",)),
}  # fmt: skip
TRAIN = ("astronaut", "flower", "hubble_deep_field", "ihc", "motorcycle_left", "retina", "rocket")
TEST = ("chelsea", "china", "coffee", "grace_hopper")


def photos(split: str) -> Pictures:
    """The seven training photographs (``"train"``) or the four of the test split (``"test"``).

    Raises ValueError: another split.
    """
    if split not in ("train", "test"):
        raise ValueError(f"unknown split {split!r} of the embedded photographs; there are: train, test")
    found = {}
    for package, (folder, names) in _PLACES.items():
        for name in names:
            with as_file(files(package).joinpath(folder, name)) as path:
                found[path.stem] = path
    chosen = TRAIN if split == "train" else TEST
    return Pictures(tuple(read_picture(found[name]) for name in chosen), chosen, f"photos/{split}")
