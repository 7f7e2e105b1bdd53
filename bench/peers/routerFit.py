"""The gradient of LIMe routers in PyTorch, for bench/routerFit.ts. Pinned: torch==2.15.0, transformers==5.23.0, gguf
(transformers decodes the same GGUF file to float32).

Arguments: the GGUF file, the number of threads. The first line of input is the token ids of a window as JSON; every
further line asks for the loss of that window and its gradient by every router, whose milliseconds are printed. The
answer to the first line is the loss and the gradient by layer 5's router, to be held against Loupe's. Routing is arXiv
2502.09245's, as its authors write it: one product of the router with the stacked heads; the rest of the model is frozen.
"""

import json
import os
import sys
import time

import torch
from torch.nn.functional import cross_entropy, linear, scaled_dot_product_attention, silu
from transformers import AutoModelForCausalLM

path, threads = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(threads)
model = AutoModelForCausalLM.from_pretrained(
    os.path.dirname(path), gguf_file=os.path.basename(path), dtype=torch.float32
).eval()
model.requires_grad_(False)
config, body = model.config, model.model
H, KV, L = config.num_attention_heads, config.num_key_value_heads, config.num_hidden_layers
W = config.hidden_size // H
print(torch.__version__, flush=True)
window = torch.tensor(json.loads(sys.stdin.readline()))
ids, labels = window[:-1], window[1:]
T = len(ids)
routers = []
for layer in range(1, L):
    router = torch.zeros(KV, (layer + 1) * KV)
    router[:, layer * KV :] = torch.eye(KV)
    routers.append(router.requires_grad_())
cos, sin = body.rotary_emb(torch.empty(1, T, 1), torch.arange(T)[None])  # (1, T, W)


def rotate(x):  # (heads, T, W)
    half = torch.cat((-x[..., W // 2 :], x[..., : W // 2]), dim=-1)
    return x * cos + half * sin


def loss():
    x = body.embed_tokens(ids)  # (T, D)
    buffers = []
    for number, layer in enumerate(body.layers):
        a, h = layer.self_attn, layer.input_layernorm(x)
        q = linear(h, a.q_proj.weight).view(T, H, W).transpose(0, 1)
        k = linear(h, a.k_proj.weight).view(T, KV, W).transpose(0, 1)
        v = linear(h, a.v_proj.weight).view(T, KV, W).transpose(0, 1)
        buffers.append(torch.cat((k, v), dim=-1).reshape(KV, T * 2 * W))
        if number > 0:
            mixed = routers[number - 1] @ torch.cat(buffers)  # (KV, T * 2 W)
            k, v = mixed.view(KV, T, 2 * W).chunk(2, dim=-1)
        out = scaled_dot_product_attention(
            rotate(q)[None], rotate(k)[None], v[None], is_causal=True, enable_gqa=H != KV
        )[0]
        x = x + linear(out.transpose(0, 1).reshape(T, H * W), a.o_proj.weight)
        h, m = layer.post_attention_layernorm(x), layer.mlp
        x = x + m.down_proj(silu(m.gate_proj(h)) * m.up_proj(h))
    return cross_entropy(model.lm_head(body.norm(x)), labels, reduction="sum")


def step():
    for router in routers:
        router.grad = None
    value = loss()
    value.backward()
    return value


print(json.dumps({"loss": step().item(), "gradient": routers[4].grad.flatten().tolist()}), flush=True)
for _ in sys.stdin:
    start = time.perf_counter()
    step()
    print((time.perf_counter() - start) * 1e3, flush=True)
