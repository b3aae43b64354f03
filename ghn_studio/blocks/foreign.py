"""Nodes of imported files that no layer of torch is: onnxruntime runs them."""

from __future__ import annotations

import base64

import torch
from torch import Tensor, nn


class Foreign(nn.Module):
    """One ONNX node, given as a model in base64; nothing is learned through it."""

    def __init__(self, model: str) -> None:
        super().__init__()
        self.model = model
        self.session: object = None

    def forward(self, *values: Tensor) -> Tensor | tuple[Tensor, ...]:
        import onnxruntime

        if self.session is None:
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 4
            self.session = onnxruntime.InferenceSession(
                base64.b64decode(self.model), options, providers=["CPUExecutionProvider"]
            )
        session = self.session
        names = [entry.name for entry in session.get_inputs()]  # type: ignore[attr-defined]
        feeds = {name: v.detach().cpu().numpy() for name, v in zip(names, values, strict=True)}
        results = session.run(None, feeds)  # type: ignore[attr-defined]
        found = tuple(torch.from_numpy(r.copy()).to(values[0].device) for r in results)
        return found[0] if len(found) == 1 else found
