"""Networks that joined the registry after results of the others had been stored; importing this module adds them.

A stored student counts with every module that ``srdistill.networks`` imports: one more there, and all students would be
trained again for a network that none of them is. Each of these counts with its own module and with all of the registry.
"""

from srdistill.networks import ARCHITECTURES
from srdistill.networks.fsrcnn import FSRCNN

LATER = {"FSRCNN": FSRCNN}
ARCHITECTURES.update(LATER)
