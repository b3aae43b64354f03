"""From a neutral raw graph to operators: what the ONNX reader and the torch tracer share."""

from ghn_studio.lifting.lift import Foreign, Lifted, LiftProblem, lift
from ghn_studio.lifting.raw import RawGraph, RawInput, RawNode, RawTensor, ordered
from ghn_studio.lifting.stored import Recipe, realise
from ghn_studio.lifting.weights import LiftedWeight

__all__ = [
    "Foreign", "LiftProblem", "Lifted", "LiftedWeight", "RawGraph", "RawInput", "RawNode", "RawTensor", "Recipe",
    "lift", "ordered", "realise",
]
