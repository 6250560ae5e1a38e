"""Who is measured, and how each is started."""

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .child import Child


WARM_UP = 20
"""Steps before the first answer: compilation is over, memory is taken, caches are filled."""


@dataclass(frozen=True)
class Cell:
    """A model at a batch size, and what is measured of it: MNIST's digits unless the config says otherwise."""

    model: str
    config: str
    batch: int
    sections: tuple[str, ...] = ("step",)
    train_pictures: int = 60_000
    test_pictures: int = 10_000
    warm_up: int = WARM_UP
    """Steps: fewer where each takes seconds."""
    alone: bool = False
    """Whether all that is measured of it is one section of the bench."""
    dtype: str = "float32"

    @property
    def name(self) -> str:
        return f"{self.model}, batch {self.batch}" + (f", {self.dtype}" if self.rounds else "")

    @property
    def rounds(self) -> bool:
        return self.dtype != "float32"

    def overrides(self) -> list[str]:
        return ["train.device=cpu", f"train.batch_size={self.batch}", f"train.dtype={self.dtype}"]


BLOG, DEFAULT = ("32-32 model", "configs/blog-denoise.toml"), ("default model", "configs/plain.toml")
CELLS = [
    Cell(*BLOG, 32),
    Cell(*BLOG, 128),
    Cell(*DEFAULT, 32, ("step", "predict", "memory")),
    Cell(*DEFAULT, 128, ("step", "predict")),
]

REUSING_MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(512 << 20)}
"""PyTorch's tuning guide advises an allocator that reuses memory; glibc's does when told so."""


@dataclass(frozen=True)
class Contestant:
    """One way to train the same model."""

    name: str
    label: str
    engine: str | None = None
    """Of convae; the others are Python modules of this package."""
    module: str = ""
    variant: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    trains: bool = True

    @property
    def ours(self) -> bool:
        return self.engine is not None

    def start(self, cell: Cell, threads: int, built: Path, logs: Path) -> Child:
        job = {"config": cell.config, "overrides": cell.overrides(), "threads": threads, "warm_up": cell.warm_up}
        command = self._convae(job, built) if self.ours else self._python(job)
        log = logs / f"{cell.name.replace(', ', '-').replace(' ', '-')}-{self.name}-{threads}.log"
        return Child(command, environment(threads) | self.environment, log)

    def _convae(self, job: dict[str, Any], built: Path) -> list[str]:
        """Without the corruption: the Python contestants know none, and drawing noise is no step."""
        engine = ["corruption.kind=none", f"train.engine={self.engine}", f"train.threads={job['threads']}"]
        command = [str(built / "examples" / "bench_worker"), "--config", job["config"]]
        command += ["--warm-up", str(job["warm_up"])]
        for override in job["overrides"] + engine:
            command += ["--set", override]
        return command

    def _python(self, job: dict[str, Any]) -> list[str]:
        return [sys.executable, "-m", self.module, json.dumps(job | {"variant": self.variant})]


def _keras(backend: str, label: str) -> Contestant:
    environment = {"KERAS_BACKEND": backend}
    return Contestant(f"keras-{backend}", label, module="bench.keras_worker", environment=environment)


def _torch(variant: str, label: str, **more: Any) -> Contestant:
    return Contestant(f"torch-{variant}", label, module="bench.torch_worker", variant=variant, **more)


def _onnx(variant: str, label: str) -> Contestant:
    return Contestant(variant, label, module="bench.onnx_worker", variant=variant, trains=False)


CONTESTANTS = [
    Contestant("native", "convae, native engine", engine="native"),
    Contestant("libtorch", "convae, libtorch engine", engine="libtorch"),
    _keras("tensorflow", "Keras on TensorFlow"),
    _keras("jax", "Keras on JAX"),
    _keras("torch", "Keras on torch"),
    _torch("eager", "PyTorch, eager"),
    _torch("tuned", "PyTorch, channels_last, fused Adam", environment=REUSING_MALLOC),
    _torch("compile", "PyTorch, torch.compile", environment=REUSING_MALLOC),
    _onnx("onnxruntime", "ONNX Runtime, our export"),
    _onnx("openvino", "OpenVINO, our export"),
]
LIMIT = Contestant("limit", "oneDNN convolution", module="bench.limit_worker", environment=REUSING_MALLOC)


def environment(threads: int) -> dict[str, str]:
    """All on the CPU, also where there is a GPU."""
    return {
        "OMP_NUM_THREADS": str(threads),
        "CUDA_VISIBLE_DEVICES": "-1",
        "JAX_PLATFORMS": "cpu",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
