"""The forward pass of the embedded model in transformers, for bench/analysis.ts. Pinned: torch==2.15.0,
transformers==5.23.0, gguf (transformers decodes the same GGUF file to float32).

Arguments: the GGUF file, the number of threads. The first line of input is the token ids as JSON; every further line
asks for one pass, whose milliseconds are printed. A pass gives what Loupe's analysis takes from the model: the hidden
states, the surprisal of every token and the five likeliest next tokens.
"""

import json
import os
import sys
import time

import torch
from transformers import AutoModelForCausalLM

path, threads = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(threads)
model = AutoModelForCausalLM.from_pretrained(
    os.path.dirname(path), gguf_file=os.path.basename(path), dtype=torch.float32
).eval()
print(torch.__version__, flush=True)
ids = torch.tensor([json.loads(sys.stdin.readline())])
for _ in sys.stdin:
    start = time.perf_counter()
    with torch.inference_mode():
        out = model(ids, output_hidden_states=True, use_cache=False)
        log_probabilities = out.logits[0].log_softmax(-1)
        surprisal = -log_probabilities[:-1].gather(1, ids[0, 1:, None])
        top = log_probabilities.topk(5)
    print((time.perf_counter() - start) * 1e3, flush=True)
