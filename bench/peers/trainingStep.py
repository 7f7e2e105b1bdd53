"""The same training step in PyTorch, for bench/trainingStep.ts. Pinned: torch==2.15.0 (any build with a CPU backend).

Reads the name of an objective per line, takes one step, prints its milliseconds. The loss is HierarchicalTopK's
reference (arXiv 2505.24473): cumulative sums of the activations times decoder rows, by autograd.
"""

import sys
import time

import torch
from torch.nn.functional import embedding, embedding_bag, linear

B, D, F, K, threads = map(int, sys.argv[1:])
torch.set_num_threads(threads)
torch.manual_seed(0)
x = torch.randn(B, D)
rows = torch.nn.functional.normalize(torch.randn(F, D), dim=1)
W_enc, W_dec = torch.nn.Parameter(rows.clone()), torch.nn.Parameter(rows.clone())
b_enc, b_dec = torch.nn.Parameter(torch.zeros(F)), torch.nn.Parameter(torch.zeros(D))
optimizer = torch.optim.AdamW([W_enc, W_dec, b_enc, b_dec], lr=8e-4, weight_decay=0.0, foreach=True)


def loss(objective):
    values, indices = torch.topk(linear(x, W_enc, b_enc), K, dim=-1)  # (B, K)
    values = torch.relu(values)
    if objective == "topk":
        reconstruction = b_dec + embedding_bag(indices, W_dec, per_sample_weights=values, mode="sum")
        return (reconstruction - x).pow(2).sum(-1).mean()
    prefixes = b_dec + (values.unsqueeze(-1) * embedding(indices, W_dec)).cumsum(1)  # (B, K, D)
    return (prefixes - x.unsqueeze(1)).pow(2).sum(-1).mean()


print(torch.__version__, flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    loss(line.strip()).backward()
    optimizer.step()
    print((time.perf_counter() - start) * 1e3, flush=True)
