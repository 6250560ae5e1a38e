"""ONNX Runtime and OpenVINO as contestants of inference, on the file that convae exports.

Run by the parent as `python -m bench.onnx_worker JOB`; the variant is one of RUNTIMES.
"""

import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from parity import program

from . import serve

Runner = Callable[[np.ndarray], Any]
"""From pictures `(N, C, H, W)` to what the model makes of them."""


def main() -> None:
    asked = serve.job()
    experiment = serve.experiment(asked)
    with tempfile.TemporaryDirectory() as folder:
        file = exported(asked, experiment.name, Path(folder))
        run = RUNTIMES[asked["variant"]](file, asked["threads"], experiment.dtype == "mixed_bfloat16")
    pictures = serve.channels_first(serve.pictures(experiment, "test"))
    batches = [pictures[start:start + experiment.batch_size]
               for start in range(0, len(pictures), experiment.batch_size)]

    def predict(passes: int) -> dict[str, Any]:
        started = time.perf_counter()
        for _ in range(passes):
            for batch in batches:
                run(batch)
        return {"seconds": time.perf_counter() - started}

    predict(1)
    serve.serve({"predict": predict}, {})


def exported(asked: dict[str, Any], name: str, folder: Path) -> Path:
    """The model after one step: what its weights are takes no time."""
    command = [program.find(), "--config", asked["config"], "--out", folder / "run"]
    for override in [*asked["overrides"], "train.epochs=1", "data.train_samples=1", "data.test_samples=1"]:
        command += ["--set", override]
    subprocess.run(command, check=True, capture_output=True)
    file = folder / "model.onnx"
    subprocess.run([program.find(), "export", folder / "run" / f"{name}.pt", "--out", file],
                   check=True, capture_output=True)
    return file


def onnxruntime(file: Path, threads: int, rounded: bool) -> Runner:
    """It has no bfloat16 on a CPU: float32 in any case."""
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = threads
    session = InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])
    return lambda batch: session.run(["output"], {"input": batch})


def openvino(file: Path, threads: int, rounded: bool) -> Runner:
    from openvino import Core

    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_PRECISION_HINT": "bf16" if rounded else "f32"}
    model = Core().compile_model(file, "CPU", settings)
    return lambda batch: model(batch)[0]


RUNTIMES: dict[str, Callable[[Path, int, bool], Runner]] = {"onnxruntime": onnxruntime, "openvino": openvino}

if __name__ == "__main__":
    main()
