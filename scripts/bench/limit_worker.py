"""How fast a convolution can be here: oneDNN's forward 3x3 convolution of 32 channels, in PyTorch.

Run by the parent as `python -m bench.limit_worker JOB`. The parent takes the best of the medians.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils import mkldnn

from . import serve

CHANNELS, KERNEL = 32, 3
SIZES, BATCHES = (14, 28), (32, 128)


def convolutions() -> dict[str, tuple[float, Callable[[], Any]]]:
    """Name to FLOP of a call and the call: each size and batch in each memory format."""
    found = {}
    for side in SIZES:
        for batch in BATCHES:
            flop = 2 * batch * side * side * CHANNELS * CHANNELS * KERNEL * KERNEL
            for layout in ("nchw", "channels_last", "blocked"):
                found[f"{layout} {side}x{side} batch {batch}"] = (flop, convolution(layout, side, batch))
    return found


def convolution(layout: str, side: int, batch: int) -> Callable[[], Any]:
    """Input and weights lie in the format beforehand, so that nothing is reordered on the clock."""
    layer = nn.Conv2d(CHANNELS, CHANNELS, KERNEL, padding=KERNEL // 2, bias=False).eval()
    pictures = torch.rand(batch, CHANNELS, side, side)
    if layout == "channels_last":
        layer.to(memory_format=torch.channels_last)
        pictures = pictures.contiguous(memory_format=torch.channels_last)
    elif layout == "blocked":
        layer, pictures = mkldnn.to_mkldnn(layer), pictures.to_mkldnn()
    return lambda: layer(pictures)


def main() -> None:
    torch.set_num_threads(serve.job()["threads"])
    torch.set_grad_enabled(False)
    known = convolutions()

    def limit(milliseconds: int) -> dict[str, Any]:
        """GFLOP/s of each, that long each."""
        return {name: flop / seconds_of(call, milliseconds / 1e3) / 1e9 for name, (flop, call) in known.items()}

    limit(5)
    serve.serve({"limit": limit}, {})


def seconds_of(call: Callable[[], Any], budget: float) -> float:
    call()
    calls, started = 0, time.perf_counter()
    while (passed := time.perf_counter() - started) < budget or calls < 3:
        call()
        calls += 1
    return passed / calls


if __name__ == "__main__":
    main()
