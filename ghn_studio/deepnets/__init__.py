"""DeepNets-1M as a pure function: a split and an index give an architecture, without any file.

Standard library only. The space of networks is that of Knyazev et al. (2021), section 3.2
and appendix A, after the cells of DARTS (Liu et al., 2019); the drawing is our own.
"""

from ghn_studio.deepnets.genotype import Genotype, structure_of
from ghn_studio.deepnets.sampler import genotype_of, sample, structure_hash
from ghn_studio.deepnets.splits import CHANNEL_STEP, SPLITS, SamplerConfig, Split

__all__ = [
    "CHANNEL_STEP", "SPLITS", "Genotype", "SamplerConfig", "Split", "genotype_of", "sample", "structure_hash",
    "structure_of",
]
