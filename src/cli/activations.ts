import { resolve } from 'node:path';
import type { ActivationsResult } from '../contracts/commandLine.ts';
import type { Hook } from '../contracts/hooks.ts';
import { ModelRunner, type RunResult } from '../engine/model/modelRunner.ts';
import { hookNamed, hookWidth, isPattern } from '../models/hooks.ts';
import type { ModelConfig, Tokenizer } from '../models/model.ts';
import { type Tensor, writeSafetensors } from '../weights/safetensors.ts';
import {
  deviceOptions,
  loadLog,
  modelOptions,
  modelRequest,
  requiredText,
  text,
  texts,
  usage,
} from './arguments.ts';
import type { Command, CommandInput } from './command.ts';
import { readText } from './readText.ts';

/** UTF-16 units: no text beyond this fits the context of a model that Loupe runs. */
const longestText = 1 << 22;

/** `loupe activations`: the hooks' activations of a file, run as one context, as safetensors. */
export const activationsCommand: Command = {
  name: 'activations',
  usage: 'activations FILE --hook NAME... --out X.safetensors [--ids 1,2,3] [--logits] [--model M]',
  summary: "The model's activations at some hooks, and its logits, for a file or for given tokens.",
  options: {
    ...modelOptions,
    ...deviceOptions,
    hook: { type: 'string', multiple: true },
    out: { type: 'string' },
    ids: { type: 'string' },
    logits: { type: 'boolean' },
  },
  run: activations,
  format: result => {
    const { file, tokens, hooks } = result as ActivationsResult;
    return `${tokens} tokens, ${hooks.join(', ')}: ${file}`;
  },
};

async function activations(input: CommandInput): Promise<ActivationsResult> {
  const { values, signal } = input;
  const { file, names } = sorted(input);
  const out = resolve(requiredText(values, 'out'));
  const ids = givenIds(text(values, 'ids'));
  const wantsLogits = values['logits'] === true;
  if (names.length === 0 && !wantsLogits) throw usage('--hook or --logits is missing.');
  if (file === undefined && !ids) throw usage('FILE or --ids is missing.');
  const content = file !== undefined && !ids ? await readText(file, longestText) : '';
  const model = await ModelRunner.open(modelRequest(values), {
    signal,
    report: loadLog(line => input.log(line)),
    warn: line => input.log(line),
  });
  try {
    const hooks = names.map(name => hookNamed(name, model.config.layers));
    const tokenIds = ids ?? idsOf(content, model.tokenizer);
    const head = wantsLogits ? 'logits' : 'none';
    const result = await model.run({ tokenIds, hooks, head, signal });
    await writeSafetensors(out, tensorsOf(tokenIds, result, model.config), {
      model: model.info.name,
      sha256: model.info.hash,
    });
    return { file: out, tokens: tokenIds.length, hooks };
  } finally {
    await model.dispose();
  }
}

/** `--hook a b` leaves b among the positional arguments: a hook's name is told from a file's by its form. */
function sorted({ values, positionals }: CommandInput): {
  file: string | undefined;
  names: string[];
} {
  const isHook = (name: string) => /^(hook_embed|blocks\.\d+\.[\w.]+)$/.test(name);
  const [file, ...more] = positionals.filter(name => !isHook(name));
  if (more.length > 0) throw usage(`There is one FILE at a time; '${more[0] ?? ''}' is too many.`);
  return { file, names: [...texts(values, 'hook'), ...positionals.filter(isHook)] };
}

function givenIds(value: string | undefined): Uint32Array | undefined {
  const parts = value?.split(',').map(part => part.trim());
  if (!parts) return undefined;
  if (parts.every(part => /^\d{1,9}$/.test(part))) return Uint32Array.from(parts, Number);
  throw usage(`--ids is to be token ids separated by commas, not '${value ?? ''}'.`);
}

/** A text's tokens as the model expects them: after BOS, where it expects that. */
function idsOf(content: string, tokenizer: Tokenizer): Uint32Array {
  const { ids } = tokenizer.encode(content);
  if (tokenizer.bos === undefined) return ids;
  const led = new Uint32Array(ids.length + 1).fill(tokenizer.bos);
  led.set(ids, 1);
  return led;
}

function tensorsOf(
  ids: Uint32Array,
  result: RunResult,
  config: ModelConfig,
): Record<string, Tensor> {
  const f32 = (data: Float32Array, ...shape: number[]): Tensor => ({ dtype: 'F32', shape, data });
  const hooks: [Hook, Tensor][] = [...result.hooks].map(([hook, data]) => [
    hook,
    isPattern(hook)
      ? f32(data, config.heads, ids.length, ids.length)
      : f32(data, ids.length, hookWidth(hook, config)),
  ]);
  return {
    ids: { dtype: 'I64', shape: [ids.length], data: BigInt64Array.from(ids, BigInt) },
    ...Object.fromEntries(hooks),
    ...(result.logits && { logits: f32(result.logits, ids.length, config.vocabulary) }),
  };
}
