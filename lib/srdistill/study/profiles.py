"""How large a run is: one frozen profile each for CI, a laptop, a desktop, a GPU and the papers' own scale.

Notebooks never ask which profile they run in. What differs for one paper only is in that wing's plan.
"""

import os
from dataclasses import dataclass, field

# nbval cannot pass parameters; it sets this instead.
VARIABLE = "SRDISTILL_PROFILE"
DEFAULT = "laptop"


@dataclass(frozen=True)
class Profile:
    """What all papers share.

    ``lpips``: its backbone. ``lpips_measured``: whether it is measured at all; a profile that downloads nothing would have
    values on some machines only. ``lpips_download``: whether the backbone's weights may be fetched.
    """

    name: str
    where: str
    seeds: int = field(metadata={"about": "seeds"})
    lpips: str = field(metadata={"about": "LPIPS backbone"})
    lpips_measured: bool = True
    lpips_download: bool = False


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("smoke", "2 CPU cores, for tests", seeds=1, lpips="alex"),
        Profile("laptop", "2 CPU cores", seeds=3, lpips="alex", lpips_measured=False),
        Profile("desktop", "2 CPU cores", seeds=3, lpips="alex", lpips_download=True),
        Profile("gpu", "one GPU", seeds=3, lpips="alex", lpips_download=True),
        Profile("paper", "one or more GPUs", seeds=3, lpips="vgg", lpips_download=True),
    )
}


def get_profile(name: str = "") -> Profile:
    """The named profile; an empty name means ``SRDISTILL_PROFILE`` or else ``laptop``. Raises ValueError: an unknown one."""
    name = name or os.environ.get(VARIABLE) or DEFAULT
    if name not in PROFILES:
        raise ValueError(f"unknown profile {name!r}; there are: {', '.join(PROFILES)}")
    return PROFILES[name]
