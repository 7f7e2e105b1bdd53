"""The same training step in PyTorch, for bench/trainingStep.ts and bench/gpu. Pinned: torch==2.15.0.

Arguments: B, D, F, K, threads, device (cpu or cuda), steps. Prints PyTorch's version and the device's name; then, for
each line that it reads, takes so many steps of the objective it names and prints the milliseconds of one. "topk" and
"hierarchical" may be followed by "compiled" (torch.compile) and "tf32" (19-bit products). "product" is the encoder's
product alone, "copy" reads and writes an array of the encoder's size: the two ceilings of the chip, in the same
milliseconds. The loss is HierarchicalTopK's reference (arXiv 2505.24473): cumulative sums of the activations times
decoder rows, by autograd.
"""

import sys
import time

import torch
from torch.nn.functional import embedding, embedding_bag, linear

B, D, F, K, threads = map(int, sys.argv[1:6])
device = sys.argv[6] if len(sys.argv) > 6 else "cpu"
steps = int(sys.argv[7]) if len(sys.argv) > 7 else 1
torch.set_num_threads(threads)
torch.manual_seed(0)
on = {"device": device}
x = torch.randn(B, D, **on)
rows = torch.nn.functional.normalize(torch.randn(F, D, **on), dim=1)
W_enc, W_dec = torch.nn.Parameter(rows.clone()), torch.nn.Parameter(rows.clone())
b_enc, b_dec = torch.nn.Parameter(torch.zeros(F, **on)), torch.nn.Parameter(torch.zeros(D, **on))
kind = {"fused": True} if device == "cuda" else {"foreach": True}
optimizer = torch.optim.AdamW([W_enc, W_dec, b_enc, b_dec], lr=8e-4, weight_decay=0.0, **kind)
other = torch.empty_like(rows)


def loss(objective):
    values, indices = torch.topk(linear(x, W_enc, b_enc), K, dim=-1)  # (B, K)
    values = torch.relu(values)
    if objective == "topk":
        reconstruction = b_dec + embedding_bag(indices, W_dec, per_sample_weights=values, mode="sum")
        return (reconstruction - x).pow(2).sum(-1).mean()
    prefixes = b_dec + (values.unsqueeze(-1) * embedding(indices, W_dec)).cumsum(1)  # (B, K, D)
    return (prefixes - x.unsqueeze(1)).pow(2).sum(-1).mean()


compiled = torch.compile(loss)


def take(words):
    if words[0] == "product":
        with torch.no_grad():
            linear(x, W_enc, b_enc)
    elif words[0] == "copy":
        other.copy_(rows)
    else:
        optimizer.zero_grad(set_to_none=True)
        (compiled if "compiled" in words else loss)(words[0]).backward()
        optimizer.step()


name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
print(f"{torch.__version__} on {name}", flush=True)
for line in sys.stdin:
    words = line.split()
    torch.backends.cuda.matmul.allow_tf32 = "tf32" in words
    start = time.perf_counter()
    for _ in range(steps):
        take(words)
    if device == "cuda":
        torch.cuda.synchronize()
    print((time.perf_counter() - start) * 1e3 / steps, flush=True)
