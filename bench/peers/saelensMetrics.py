"""SAELens' own evaluation of an SAE on given tokens: prints its figures as JSON. Run by bench/saelensMetrics.ts, or as
    python bench/peers/saelensMetrics.py request.json
where request.json has `model` (a folder of transformers' layout), optionally `gguf` (a file in it), `sae` (a SAELens
folder), `hook` (blocks.N.hook_resid_post), `tokenIds` and `windowLength`.

Needs torch, transformers, gguf and sae-lens 6.54. The metrics are computed by sae_lens.evals itself; only the model, which
SAELens would take from TransformerLens, is transformers' with the same hooks and calls.
"""

import json
import sys
from types import SimpleNamespace

import torch
import transformers
from sae_lens import SAE
from sae_lens.evals import get_downstream_reconstruction_metrics, get_sparsity_and_variance_metrics
from sae_lens.training.activation_scaler import ActivationScaler

transformers.utils.logging.disable_progress_bar()


class HookedModel:
    """The calls that sae_lens.evals makes of a HookedTransformer, on a model of transformers."""

    def __init__(self, model, hook):
        self.model = model
        self.hook = hook
        self.module = model.model.layers[int(hook.split(".")[1])]

    @torch.no_grad()
    def run(self, tokens, replace=None):
        seen = {}

        def at_hook(_module, _inputs, output):
            x = output[0] if isinstance(output, tuple) else output
            seen["x"] = x.clone()
            if replace is None:
                return output
            new = replace(x.clone(), SimpleNamespace(name=self.hook))
            return (new, *output[1:]) if isinstance(output, tuple) else new

        handle = self.module.register_forward_hook(at_hook)
        logits = self.model(tokens).logits.float()
        handle.remove()
        log_probabilities = logits[:, :-1].log_softmax(dim=-1)
        loss = -log_probabilities.gather(-1, tokens[:, 1:, None])[..., 0]
        return logits, loss, seen["x"]

    def __call__(self, tokens, return_type="both", loss_per_token=True, **_):
        return self.run(tokens)[:2]

    def run_with_cache(self, tokens, **_):
        logits, _, x = self.run(tokens)
        return logits, {self.hook: x}

    def run_with_hooks(self, tokens, fwd_hooks, **_):
        return self.run(tokens, fwd_hooks[0][1])[:2]


class Store:
    """Batches of the given windows."""

    def __init__(self, windows):
        self.windows, self.next = windows, 0

    def get_batch_tokens(self, count):
        batch = self.windows[self.next : self.next + count]
        self.next += count
        return batch


request = json.loads(open(sys.argv[1]).read())
sae = SAE.load_from_disk(request["sae"], dtype="float32")
model = transformers.AutoModelForCausalLM.from_pretrained(
    request["model"],
    dtype=torch.float32,
    attn_implementation="eager",
    **({"gguf_file": request["gguf"]} if request.get("gguf") else {}),
).eval()
hooked = HookedModel(model, request["hook"])
windows = torch.tensor(request["tokenIds"]).reshape(-1, request["windowLength"])
per_batch = 1
batches = len(windows) // per_batch
with torch.no_grad():
    downstream = get_downstream_reconstruction_metrics(
        sae, hooked, Store(windows), ActivationScaler(), compute_kl=True, compute_ce_loss=True,
        n_batches=batches, eval_batch_size_prompts=per_batch,
    )  # fmt: skip
    metrics, _ = get_sparsity_and_variance_metrics(
        sae, hooked, Store(windows), ActivationScaler(), n_batches=batches, compute_l2_norms=True,
        compute_sparsity_metrics=True, compute_variance_metrics=True, compute_featurewise_density_statistics=False,
        eval_batch_size_prompts=per_batch, model_kwargs={},
    )  # fmt: skip
figures = {
    "ev": metrics["explained_variance"],
    "mse": metrics["mse"],
    "cosine": metrics["cossim"],
    "l2Ratio": metrics["l2_ratio"],
    "l0": metrics["l0"],
    "l1": metrics["l1"],
    "ceWithoutSae": downstream["ce_loss_without_sae"],
    "ceWithSae": downstream["ce_loss_with_sae"],
    "ceWithAblation": downstream["ce_loss_with_ablation"],
    "ceScore": downstream["ce_loss_score"],
    "klWithSae": downstream["kl_div_with_sae"],
    "klWithAblation": downstream["kl_div_with_ablation"],
    "klScore": downstream["kl_div_score"],
}
print(json.dumps(figures))
