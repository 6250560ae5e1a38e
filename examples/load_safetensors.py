"""Cleans a picture with the weights alone; what denoise.toml's model does with them stands here:

    convae export runs/noise/noise.pt --out noise.safetensors
    python examples/load_safetensors.py noise.safetensors noisy.png cleaned.png
"""

import sys

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file

LAYERS = [f"{'encoder' if i < 3 else 'decoder'}.conv2d{f'_{i}' if i else ''}" for i in range(6)]

file, noisy, cleaned = sys.argv[1:]
weights = load_file(file)
x = torch.from_numpy(np.asarray(Image.open(noisy).convert("L"), np.float32) / 255)[None, None]
for i, name in enumerate(LAYERS):
    x = F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding="same")
    x = x.relu() if i < 5 else x.sigmoid()
    x = F.max_pool2d(x, 2) if i < 2 else F.interpolate(x, scale_factor=2) if 2 < i < 5 else x
Image.fromarray((x[0, 0] * 255).round().byte().numpy()).save(cleaned)
