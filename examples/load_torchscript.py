"""Cleans a picture with PyTorch, from code and weights in one file:

    convae export runs/noise/noise.pt --format torchscript --out noise-script.pt
    python examples/load_torchscript.py noise-script.pt noisy.png cleaned.png  # numpy, pillow, torch
"""

import sys

import numpy as np
import torch
from PIL import Image

script, noisy, cleaned = sys.argv[1:]
model = torch.jit.load(script).eval()
picture = torch.from_numpy(np.asarray(Image.open(noisy).convert("L"), np.float32) / 255)
with torch.no_grad():
    output = model(picture[None, None])  # (N, C, H, W); model.encoder gives codes
Image.fromarray((output[0, 0].clamp(0, 1) * 255).round().byte().numpy()).save(cleaned)
