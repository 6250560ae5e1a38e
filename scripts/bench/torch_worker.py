"""PyTorch as a contestant, in three variants. Run by the parent as `python -m bench.torch_worker JOB`.

eager    as it is usually written: sigmoid, BCELoss (or MSELoss), Adam
tuned    as PyTorch's tuning guide says: channels_last, cross-entropy from logits, fused Adam
compile  the same under torch.compile

Where the config's precision is mixed_bfloat16, all three run under autocast, PyTorch's own policy.
"""

import time
from typing import Any

import torch
from torch import nn

from . import serve, torch_model

EPSILON = 1e-7
"""Keras's Adam has this one."""


class Trainer:
    """The pictures lie in memory as one tensor, and a batch is one gather from it."""

    def __init__(self, asked: dict[str, Any]) -> None:
        torch.set_num_threads(asked["threads"])
        self.experiment, self.variant = serve.experiment(asked), asked["variant"]
        self.pictures = self.tensor("train")
        self.tuned = self.variant != "eager"
        entropy = torch_model.is_entropy(self.experiment)
        self.logits = self.tuned and entropy
        self.model = torch_model.build(self.experiment, self.logits)
        if self.tuned:
            self.model.to(memory_format=torch.channels_last)
        self.criterion = nn.MSELoss() if not entropy else nn.BCEWithLogitsLoss() if self.tuned else nn.BCELoss()
        self.adam = torch.optim.Adam(self.model.parameters(), eps=EPSILON, fused=self.tuned or None)
        # The loss goes into the compiled graph too, so that it can be fused with the last layer.
        self.loss_of = torch.compile(self.loss) if self.variant == "compile" else self.loss
        self.outputs_of = torch.compile(self.outputs) if self.variant == "compile" else self.outputs
        self.order, self.place = torch.empty(0, dtype=torch.long), 0
        self.autocast = torch.autocast("cpu", torch.bfloat16, enabled=self.experiment.dtype == "mixed_bfloat16")

    def tensor(self, split: str) -> torch.Tensor:
        return torch.from_numpy(serve.channels_first(serve.pictures(self.experiment, split)))

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        return self.criterion(self.model(batch), batch)

    def outputs(self, batch: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.model(batch)) if self.logits else self.model(batch)

    def train(self, steps: int) -> dict[str, Any]:
        """Goes on where it stopped; only whole batches, so that nothing compiles again."""
        started = time.perf_counter()
        running = torch.zeros(())
        for _ in range(steps):
            batch = self.next_batch()
            self.adam.zero_grad(set_to_none=True)
            with self.autocast:
                loss = self.loss_of(batch)
            loss.backward()
            self.adam.step()
            running += loss.detach()
        running.item()
        return {"seconds": time.perf_counter() - started}

    def next_batch(self) -> torch.Tensor:
        size = self.experiment.batch_size
        if self.place + size > len(self.order):
            self.order, self.place = torch.randperm(len(self.pictures)), 0
        indices = self.order[self.place:self.place + size]
        self.place += size
        batch = self.pictures[indices]
        is_pictures = batch.dim() == 4
        return batch.contiguous(memory_format=torch.channels_last) if self.tuned and is_pictures else batch

    def predict(self, passes: int) -> dict[str, Any]:
        pictures, size = self.tensor("test"), self.experiment.batch_size
        self.model.eval()
        started = time.perf_counter()
        with torch.inference_mode(), self.autocast:
            for _ in range(passes):
                torch.cat([self.outputs_of(batch) for batch in pictures.split(size)])
        self.model.train()
        return {"seconds": time.perf_counter() - started}


def main() -> None:
    asked = serve.job()
    trainer = Trainer(asked)
    trainer.train(asked["warm_up"])
    commands = {"train": trainer.train, "predict": trainer.predict}
    serve.serve(commands, {"peak_mb": serve.peak_mb()})


if __name__ == "__main__":
    main()
