"""Methods that others published, and ours that joins what two of them do, each a ranking of all parameters.

One file a method: its docstring has the formula and where it was published.
"""

from codingspot.bench.rankings import attention as attention  # these register their methods
from codingspot.bench.rankings import collapse as collapse
from codingspot.bench.rankings import compressed_sensing as compressed_sensing
from codingspot.bench.rankings import lape as lape
from codingspot.bench.rankings import mathneuro as mathneuro
from codingspot.bench.rankings import pls as pls
from codingspot.bench.rankings import selective_pruning as selective_pruning
from codingspot.bench.rankings import unit_prior as unit_prior
from codingspot.bench.rankings import wei as wei
