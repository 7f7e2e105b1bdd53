"""Makes media/publicSaes.json: the public SAEs that SAELens knows and Loupe reads, grouped by the pattern of their paths.

Run from the repository root with
    pip install sae-lens==6.54.0 --no-deps pyyaml==6.0.3
    python scripts/makePublicSaes.py

SAELens' pretrained_saes.yaml is under the MIT license, whose text goes to media/publicSaes.LICENSE.txt.
"""

import importlib.metadata
import json
import pathlib
import re

import yaml

distribution = importlib.metadata.distribution("sae-lens")


def packaged(name):
    """A file of SAELens, found without importing it: that would need PyTorch."""
    found = [file for file in distribution.files if file.name == name]
    return pathlib.Path(distribution.locate_file(found[0]))


# By SAELens' conversion function; what is not here is in a format that Loupe does not read.
formats = {
    None: "saelens",
    "gemma_2": "gemma-scope",
    "gemma_2_transcoder": "gemma-scope",
    "gemma_3": "gemma-scope-2",
    "dictionary_learning_1": "dictionary-learning",
    "sparsify": "sparsify",
    "llama_scope": "llama-scope",
    "llama_scope_r1_distill": "llamascopium",
    "qwen_scope": "qwen-scope",
}

widths = {"4k": 4096, "16k": 16384, "32k": 32768, "65k": 65536, "131k": 131072, "262k": 262144, "524k": 524288}
widths |= {"1m": 1048576}
layer = re.compile(r"(?<![a-z0-9])(layer_|layer|blocks\.|[Ll](?=\d+[RAMram]))(\d+)(?!\d)|^(\d+)(?=-(?:res|att|mlp)[-_])")


def hook_of(conversion, repo, sae, overrides):
    """TransformerLens' name of what the SAE reads, and whether it is a transcoder; as SAELens' own loaders say."""
    path = str(sae["path"])
    number = re.search(r"layer_?(\d+)|blocks\.(\d+)|L(\d+)[RAM]", path) or re.search(r"^(\d+)-(res|att|mlp)", path)
    n = next((group for group in number.groups() if group), None) if number else None
    if conversion is None:
        named = re.match(r"blocks\.\d+\.hook_[a-z]+(_pre|_mid|_post|_out)?|hook_embed", sae["id"])
        return overrides.get("hook_name") or (named.group(0) if named else None), False
    if conversion == "gemma_2":
        if "embedding" in path:
            return "hook_embed", False
        kind = repo.split("-")[-1] if not repo.endswith("res") else "res"
        return {
            "res": f"blocks.{n}.hook_resid_post",
            "mlp": f"blocks.{n}.hook_mlp_out",
            "att": f"blocks.{n}.attn.hook_z",
        }.get(kind), False
    if conversion == "gemma_2_transcoder":
        return f"blocks.{n}.ln2.hook_normalized", True
    if conversion == "gemma_3":
        if "clt" in path or "crosscoder" in path:
            return None, False
        for part, hook in [("resid_post", "hook_resid_post"), ("attn_out", "attn.hook_z"), ("mlp_out", "hook_mlp_out")]:
            if part in path:
                return f"blocks.{n}.{hook}", False
        return f"blocks.{n}.mlp.hook_in", True
    if conversion == "llama_scope":
        place = re.search(r"-L\d+([RAM])-", path).group(1)
        return f"blocks.{n}.{dict(R='hook_resid_post', A='hook_attn_out', M='hook_mlp_out')[place]}", False
    return f"blocks.{n}.hook_resid_post", False


def width_of(conversion, release, repo, path):
    text = f"{path} {repo} {release}"
    for pattern in [r"width_(\w+?)(?:[/_ ]|$)", r"v5_(\d+k)", r"-W(\d+)K", r"width-2pow(\d+)", r"_(\d{4,6})(?:_anthropic|:v1|$)"]:
        found = re.search(pattern, path if pattern.startswith("_(") else text)
        if not found:
            continue
        word = found.group(1).lower()
        if pattern.startswith("-W"):
            return int(word) * 1024
        if "pow" in pattern:
            return 2 ** int(word)
        return widths.get(word) or (int(word) if word.isdigit() else None)
    if conversion == "llama_scope":
        return 4096 * int(re.search(r"-(\d+)x$", path).group(1))
    found = re.search(r"hook_resid_pre_(\d+)$", path)
    return int(found.group(1)) if found else None


def templated(text, n, l0):
    """`text` with {n} for the layer and {l} for L0 where they stand."""
    out = text
    if l0 is not None:
        out = re.sub(rf"average_l0_{l0}(?!\d)", "average_l0_{l}", out)
    if n is not None:
        out = layer.sub(
            lambda m: m.group(0).replace(m.group(2) or m.group(3), "{n}") if (m.group(2) or m.group(3)) == n else m.group(0),
            out,
        )
    return out


def filled(template, n, l0):
    return template.replace("{n}", str(n)).replace("{l}", str(l0))


def compact(values):
    """One value where all are the same, a range as text where they count up, else the list."""
    if all(value == values[0] for value in values):
        return values[0]
    if values == list(range(values[0], values[0] + len(values))) if isinstance(values[0], int) else False:
        return f"{values[0]}-{values[-1]}"
    return values


def whole(number):
    return int(number) if isinstance(number, float) and number.is_integer() else number


def most(groups, field):
    """The value that most of the groups have."""
    values = [json.dumps(group.get(field)) for group in groups]
    return json.loads(max(values, key=values.count))


releases = []
count = left_out = 0
for name, release in sorted(yaml.safe_load(packaged("pretrained_saes.yaml").read_text()).items()):
    conversion, repo = release.get("conversion_func"), release["repo_id"]
    groups = {}
    for sae in release["saes"]:
        # The hook of an SAE by that name in another format, or by mistake a release within a release.
        hook, transcoder = hook_of(conversion, repo, sae, release.get("config_overrides") or {})
        # Snapshots within a training are many, and nobody's first choice.
        if conversion not in formats or hook is None or "_checkpoints/" in str(sae["path"]):
            left_out += 1
            continue
        path = str(sae["path"])
        named = re.search(r"blocks\.(\d+)\.", hook)
        n = named.group(1) if named else None
        in_path = re.search(r"average_l0_(\d+)", path)
        l0 = int(in_path.group(1)) if in_path else whole(sae.get("l0"))
        ids = [templated(sae["id"], n, l0), templated(path, n, l0)]
        if filled(ids[0], n, l0) != sae["id"] or filled(ids[1], n, l0) != path:
            ids = [sae["id"], path]
        key = (*ids, re.sub(r"blocks\.\d+\.", "blocks.{n}.", hook), width_of(conversion, name, repo, path), transcoder)
        groups.setdefault(key, []).append((int(n) if n is not None else 0, l0, whole(sae.get("variance_explained"))))
        count += 1
    written = []
    for (sae_id, path, hook, width, transcoder), entries in groups.items():
        entries.sort(key=lambda entry: entry[:1])
        group = {"path": path, "hook": hook, "n": compact([entry[0] for entry in entries])}
        if isinstance(group["n"], int) and len(entries) > 1:
            group["n"] = [entry[0] for entry in entries]
        if sae_id != path:
            # "/" stands for the last part of the path.
            group["id"] = "/" if sae_id == path.split("/")[-1] else sae_id
        if width:
            group["width"] = width
        if transcoder:
            group["transcoder"] = True
        for at, field in [(1, "l0"), (2, "ev")]:
            if any(entry[at] is not None for entry in entries):
                group[field] = compact([entry[at] for entry in entries])
                if isinstance(group[field], str):
                    group[field] = [entry[at] for entry in entries]
        written.append(group)
    if written:
        shared = {"hook": most(written, "hook"), "n": most(written, "n"), "width": most(written, "width")}
        shared |= {"transcoder": most(written, "transcoder"), "id": most(written, "id")}
        if shared["id"] != "/":
            del shared["id"]
        # A group says what differs from its release; null where it has nothing of the kind.
        for group in written:
            for field, value in shared.items():
                if group.get(field) == value:
                    group.pop(field, None)
                elif field not in group:
                    group[field] = None
        named = {"name": name, "repository": repo, "model": release["model"], "format": formats[conversion]}
        given = {field: value for field, value in shared.items() if value is not None}
        releases.append({**named, **given, "saes": written})

media = pathlib.Path("media")
text = "{" + f'"source":"SAELens {distribution.version}, pretrained_saes.yaml","releases":[\n'
text += ",\n".join(json.dumps(release, separators=(",", ":")) for release in releases) + "\n]}\n"
(media / "publicSaes.json").write_text(text)
(media / "publicSaes.LICENSE.txt").write_text(packaged("LICENSE").read_text())
print(f"{count} SAEs of {len(releases)} releases in {len(text)} bytes; {left_out} in other formats or within a training left out")
