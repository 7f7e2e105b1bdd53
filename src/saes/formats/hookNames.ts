import { Failure } from '../../common/failure.ts';
import type { Hook, LayerPlace } from '../../contracts/hooks.ts';

/** The places of a layer at which an SAE may read or write. The attention's pattern is none: it has no width. */
const places: ReadonlySet<string> = new Set<LayerPlace>([
  'hook_resid_pre',
  'hook_resid_mid',
  'hook_resid_post',
  'hook_attn_out',
  'hook_mlp_out',
  'ln1.hook_normalized',
  'ln2.hook_normalized',
  'attn.hook_q',
  'attn.hook_k',
  'attn.hook_v',
  'attn.hook_z',
  'mlp.hook_in',
  'mlp.hook_post',
]);

/** Other names of the same places: TransformerLens 3's bridges, and its copy of the stream before the second norm. */
const aliases: Readonly<Record<string, LayerPlace>> = {
  hook_in: 'hook_resid_pre',
  hook_out: 'hook_resid_post',
  hook_mlp_in: 'hook_resid_mid',
  hook_attn_in: 'hook_resid_pre',
  'attn.hook_out': 'hook_attn_out',
  'mlp.hook_out': 'hook_mlp_out',
};

/** The places by transformers' modules, as Gemma Scope 2 names them (of Gemma 2 and 3, whose norms follow the branches). */
const modules: Readonly<Record<string, LayerPlace>> = {
  input: 'hook_resid_pre',
  output: 'hook_resid_post',
  'self_attn.o_proj.input': 'attn.hook_z',
  'post_attention_layernorm.output': 'hook_attn_out',
  'pre_feedforward_layernorm.output': 'mlp.hook_in',
  'mlp.input': 'mlp.hook_in',
  'mlp.down_proj.input': 'mlp.hook_post',
  'post_feedforward_layernorm.output': 'hook_mlp_out',
};

/** The hook of TransformerLens' name for it; undefined where an SAE cannot be at it. */
export function hookOfName(name: string): Hook | undefined {
  if (name === 'hook_embed') return name;
  const [, layer, place] = /^blocks\.(0|[1-9]\d{0,3})\.([\w.]{1,40})$/.exec(name) ?? [];
  if (layer === undefined || place === undefined) return undefined;
  const found = places.has(place) ? place : Object.hasOwn(aliases, place) && aliases[place];
  return found ? (`blocks.${Number(layer)}.${found}` as Hook) : undefined;
}

/** The hook of a module's input or output in transformers' Gemma models. */
export function hookOfModule(name: string): Hook | undefined {
  if (/^model\.embed_tokens\.output$/.test(name)) return 'hook_embed';
  const match = /^model\.(?:language_model\.)?layers\.(0|[1-9]\d{0,3})\.([\w.]{1,60})$/.exec(name);
  const [, layer, module] = match ?? [];
  if (layer === undefined || module === undefined || !Object.hasOwn(modules, module)) {
    return undefined;
  }
  const place = modules[module];
  return place && `blocks.${Number(layer)}.${place}`;
}

/** The hook of a name in a configuration; fails with `bad-file` where there is no name, `unsupported` for another hook. */
export function requireHook(name: unknown, file: string, key = 'hook_name'): Hook {
  if (typeof name !== 'string') {
    throw new Failure(
      'bad-file',
      `${file} does not say which activation the SAE reads: it has no ${key}.`,
    );
  }
  const hook = hookOfName(name) ?? hookOfModule(name);
  if (hook) return hook;
  throw new Failure(
    'unsupported',
    `${file} is of an SAE at ${name.slice(0, 80)}; Loupe reads hook_embed and blocks.N.PLACE, PLACE one of ${[...places].join(', ')}.`,
  );
}
