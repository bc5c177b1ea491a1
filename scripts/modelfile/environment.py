"""Settings that transformers and LibTorch read when they are imported; therefore imported before them."""

import os

for name, value in {
    "HF_HUB_OFFLINE": "1",  # a source is always a local path
    "TQDM_DISABLE": "1",
    "OMP_WAIT_POLICY": "PASSIVE",  # on a busy machine, threads that wait by spinning keep others from working
}.items():
    os.environ.setdefault(name, value)
