"""Declare two operators that torchvision's Python part expects of its compiled part.

The CPU build of torch and PyPI's torchvision do not fit each other in binary form; SGLang imports
torchvision but calls neither operator for a language model.
"""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType


class _Declare(importlib.abc.MetaPathFinder):
    """Lets torchvision be found as ever, after its operators are declared."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname == "torchvision":
            sys.meta_path.remove(self)
            import torch

            library = torch.library.Library("torchvision", "DEF")
            library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            sys.modules["_torchvision_operators"] = library  # type: ignore[assignment]  # kept
        return None


sys.meta_path.insert(0, _Declare())
