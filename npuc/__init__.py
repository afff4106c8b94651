"""npuc compiles one multimodal model into verified, deployable artifacts for mobile NPUs.

```python
import npuc

artifact = npuc.compile("demo", device="galaxy-s25", out="build/galaxy-s25")
print(artifact.run(image="a.png", audio="q.wav", prompt="what is the sum?").text)
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from npuc.api import compile_model as compile  # noqa: A004 (the verb users type)
    from npuc.api import load
    from passes.learning.qat.dynamic_layers import quantize_dynamic

__all__ = ["compile", "load", "quantize_dynamic"]


def __getattr__(name: str) -> Any:
    # torch and TVM take seconds to import; `npuc --help` and `npuc recipe` need neither
    if name == "quantize_dynamic":
        from passes.learning.qat.dynamic_layers import quantize_dynamic

        return quantize_dynamic
    if name in __all__:
        from npuc import api

        return api.compile_model if name == "compile" else api.load
    raise AttributeError(f"module 'npuc' has no attribute {name!r}")
