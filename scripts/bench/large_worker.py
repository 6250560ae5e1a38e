"""A model's calls on large images, one at a time, by PyTorch or by ONNX Runtime and OpenVINO on our exported file.

Run by the parent as `python -m bench.large_worker JOB`. It answers once, with images per second after a first call.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from . import onnx_worker, serve


def main() -> None:
    asked = serve.job()
    image = np.random.default_rng(1).random((1, 1, *asked["size"]), np.float32)
    runtime = onnx_worker.RUNTIMES.get(asked["variant"])
    call = runtime(Path(asked["onnx"]), asked["threads"], False) if runtime else of_torch(asked)
    call(image)
    started = time.perf_counter()
    for _ in range(asked["count"]):
        call(image)
    rate = asked["count"] / (time.perf_counter() - started)
    serve.serve({}, {"images_per_second": rate})


def of_torch(asked: dict[str, Any]) -> Callable[[np.ndarray], Any]:
    import torch

    from . import torch_model

    torch.set_num_threads(asked["threads"])
    model = torch_model.build(serve.experiment(asked), logits=False).eval()
    layout = torch.contiguous_format if asked["variant"] == "eager" else torch.channels_last
    model.to(memory_format=layout)
    run = torch.compile(model) if asked["variant"] == "compile" else model

    def call(image: np.ndarray) -> Any:
        with torch.inference_mode():
            return run(torch.from_numpy(image).contiguous(memory_format=layout))

    return call


if __name__ == "__main__":
    main()
