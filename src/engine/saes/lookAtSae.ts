import { open, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Failure } from '../../common/failure.ts';
import { isRecord } from '../../common/record.ts';
import type { SaeFacts } from '../../contracts/lookAt.ts';

/** Where the formats keep what they say of themselves, and the most that is read of it. */
const configFiles = ['cfg.json', 'config.json', 'hyperparams.json'];
const maxConfig = 1_000_000;

/**
 * What the configuration beside an SAE's weights says, whatever the format, without reading them: for lists, where many
 * are looked at. Loading reads it all again, and strictly.
 */
export async function lookAtSae(path: string): Promise<SaeFacts> {
  const status = await stat(path).catch(() => undefined);
  if (!status) throw new Failure('not-found', `There is no SAE at ${path}.`);
  const folder = status.isDirectory() ? path : dirname(path);
  let config: Fields = {};
  for (const name of configFiles) config = { ...(await readConfig(join(folder, name))), ...config };
  const named = { ...config, ...record(config['metadata']), ...record(config['trainer']) };
  const width = number(named, 'd_in', 'd_model', 'activation_dim');
  const expansion = number(named, 'expansion_factor');
  const widened = width !== null && expansion !== null ? width * expansion : null;
  return {
    hook: hookOf(named, path),
    inputWidth: width,
    features: number(named, 'd_sae', 'dict_size', 'num_latents') ?? widened,
    kind: text(named, 'architecture', 'dict_class', 'act_fn', 'activation_fn', 'activation'),
    model: text(named, 'model_name', 'lm_name'),
  };
}

type Fields = Readonly<Record<string, unknown>>;

function hookOf(named: Fields, path: string): string | null {
  const given = text(named, 'hook_name', 'hook_point', 'hook_point_in');
  if (given !== null) return given;
  const module = text(named, 'hf_hook_point_in', 'submodule_name') ?? basename(path);
  const layer =
    /^(?:model\.)?layers\.(\d+)(?:\.output)?$/.exec(module) ??
    /^resid_post_layer_?(\d+)$/.exec(module) ??
    /^layer(\d+)\.sae\.pt$/.exec(module);
  if (layer?.[1] !== undefined) return `blocks.${layer[1]}.hook_resid_post`;
  const scope = /gemma-scope-\w+-(?:pt|it)-(res|mlp).*[/\\]layer_(\d+)[/\\]/.exec(path);
  if (!scope) return null;
  return `blocks.${scope[2] ?? ''}.${scope[1] === 'res' ? 'hook_resid_post' : 'hook_mlp_out'}`;
}

async function readConfig(path: string): Promise<Fields> {
  try {
    const file = await open(path);
    try {
      if ((await file.stat()).size > maxConfig) return {};
      return record(JSON.parse(await file.readFile('utf8')));
    } finally {
      await file.close();
    }
  } catch {
    return {};
  }
}

function record(value: unknown): Fields {
  return isRecord(value) ? value : {};
}

function number(fields: Fields, ...names: readonly string[]): number | null {
  const found = names.map(name => fields[name]).find(value => typeof value === 'number');
  return typeof found === 'number' && Number.isSafeInteger(found) && found > 0 ? found : null;
}

function text(fields: Fields, ...names: readonly string[]): string | null {
  const found = names.map(name => fields[name]).find(value => typeof value === 'string');
  return typeof found === 'string' && found !== '' ? found.slice(0, 200) : null;
}
