"""A training step of a small LIMe or Llama model in PyTorch, for bench/papers/lime. Pinned: torch==2.15.0 (any build
with a CPU backend).

Arguments: the settings as JSON, the number of threads. Every line of input names an architecture ("lime" or "llama");
one step is taken (the windows of the step one after the other, gradients added up, clipped, AdamW), and its
milliseconds are printed. With "batch:" before the architecture, the windows of the step are run at once.
The model is LIMe as in the authors' code (corl-team/lime, src/lm/lime.py): fused keys and values, a buffer that grows by
each layer's heads, a router per layer; attention is PyTorch's scaled_dot_product_attention.
"""

import json
import sys
import time

import torch
from torch.nn import Embedding, Linear, Module, ModuleList, Parameter, RMSNorm
from torch.nn.functional import cross_entropy, linear, scaled_dot_product_attention, silu

settings, threads = json.loads(sys.argv[1]), int(sys.argv[2])
shape = settings["shape"]
D, L, H, C = shape["width"], shape["layers"], shape["heads"], shape["headWidth"]
V, F, T = shape["vocabulary"], shape["feedForward"], shape["contextLength"]
torch.set_num_threads(threads)
torch.manual_seed(0)
angles = torch.outer(torch.arange(T).float(), shape["ropeTheta"] ** (-torch.arange(0, C, 2).float() / C)).repeat(1, 2)
cos, sin = angles.cos(), angles.sin()  # (T, C)


def rotated(x):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat([-b, a], -1) * sin


class Layer(Module):
    def __init__(self, layer, lime):
        super().__init__()
        self.norm1, self.norm2 = RMSNorm(D, shape["normEpsilon"]), RMSNorm(D, shape["normEpsilon"])
        self.q, self.o = Linear(D, H * C, bias=False), Linear(H * C, D, bias=False)
        self.kv = Linear(D, 2 * H * C, bias=False)
        self.gate, self.up = Linear(D, F, bias=False), Linear(D, F, bias=False)
        self.down = Linear(F, D, bias=False)
        self.router = None
        if lime and layer > 0:
            bound = (3 / ((layer + 1) * H)) ** 0.5
            router = torch.empty(H, (layer + 1) * H).uniform_(-bound, bound)
            router[:, -H:] = torch.eye(H)
            self.router = Parameter(router)

    def forward(self, x, buffer):
        B = x.shape[0]
        h = self.norm1(x)  # (B, T, D)
        q = self.q(h).view(B, T, H, C).transpose(1, 2)  # (B, H, T, C)
        kv = self.kv(h).view(B * T, 2 * C, H).permute(2, 0, 1).reshape(H, -1)  # (H, B T 2 C)
        buffer = kv if buffer is None else torch.cat([buffer, kv])
        kv = kv if self.router is None else self.router @ buffer
        k, v = kv.view(H, B, T, 2 * C).transpose(0, 1).chunk(2, -1)  # (B, H, T, C)
        mixed = scaled_dot_product_attention(rotated(q), rotated(k), v, is_causal=True)
        x = x + self.o(mixed.transpose(1, 2).reshape(B, T, H * C))
        h = self.norm2(x)
        return x + self.down(silu(self.gate(h)) * self.up(h)), buffer


class Model(Module):
    def __init__(self, lime):
        super().__init__()
        self.lime = lime
        self.embed, self.norm = Embedding(V, D), RMSNorm(D, shape["normEpsilon"])
        self.layers = ModuleList(Layer(n, lime) for n in range(L))
        for module in self.modules():
            if isinstance(module, Linear | Embedding):
                torch.nn.init.normal_(module.weight, std=0.02)
        routers = [layer.router for layer in self.layers if layer.router is not None]
        gains = [weight for name, weight in self.named_parameters() if "norm" in name]
        matrices = [module.weight for module in self.modules() if isinstance(module, Linear)]
        groups = [
            dict(params=matrices, weight_decay=0.1),
            dict(params=[self.embed.weight, *gains], weight_decay=0.0),
            *([dict(params=routers, weight_decay=0.0, lr=1e-2)] if routers else []),
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=3e-3, betas=(0.9, 0.95), foreach=True)

    def forward(self, ids):
        x, buffer = self.embed(ids), None
        for layer in self.layers:
            x, buffer = layer(x, buffer if self.lime else None)
        return linear(self.norm(x), self.embed.weight)


def step(model, groups):
    model.optimizer.zero_grad(set_to_none=True)
    for ids in groups:  # (B, T + 1)
        logits = model(ids[:, :-1])
        (cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten()) * len(ids) / settings["windows"]).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    model.optimizer.step()


models = {"lime": Model(True), "llama": Model(False)}
ids = torch.randint(V, (settings["windows"], T + 1))
print(torch.__version__, flush=True)
for line in sys.stdin:
    name = line.strip()
    groups = [ids] if name.startswith("batch:") else ids.split(1)
    start = time.perf_counter()
    step(models[name.removeprefix("batch:")], groups)
    print((time.perf_counter() - start) * 1e3, flush=True)
