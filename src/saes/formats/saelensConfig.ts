import { Failure } from '../../common/failure.ts';
import { isRecord } from '../../common/record.ts';
import type { Hook } from '../../contracts/hooks.ts';

/** What a SAELens cfg.json says, checked. Keys of SAELens 6 (`SAEConfig.to_dict`) and of the flat files before it. */
export interface SaeLensConfig {
  readonly architecture: 'standard' | 'topk' | 'jumprelu' | 'gated';
  /** d_sae, F */
  readonly width: number;
  /** d_in, D */
  readonly inputWidth: number;
  /** topk only; else 0. */
  readonly k: number;
  readonly hook: Hook;
  readonly subtractDecoderBias: boolean;
  /** topk only: activations are scaled by the decoder rows' norms before the selection. */
  readonly rescaleByDecoderNorm: boolean;
  /** The input was scaled by a constant in training that is not in the weights. */
  readonly scaledInput: boolean;
  readonly metadata: Readonly<Record<string, unknown>>;
}

const architectures = ['standard', 'topk', 'jumprelu', 'gated'] as const;

/** Reads the text of a cfg.json; `file` names it in failures. */
export function parseSaeLensConfig(json: string, file: string): SaeLensConfig {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch (cause) {
    throw new Failure('bad-file', `${file} is not JSON.`, { cause });
  }
  if (!isRecord(parsed)) throw new Failure('bad-file', `${file} is not a JSON object.`);
  const cfg = isRecord(parsed['metadata']) ? parsed : flatToNested(parsed);
  const fields = new Fields(cfg, file);
  const width = fields.size('d_sae');
  const architecture = fields.oneOf('architecture', architectures, 'standard');
  const k = architecture === 'topk' ? fields.size('k') : 0;
  if (k > width) throw fields.bad('k', `at most d_sae, ${String(width)}`);
  fields.oneOf('reshape_activations', ['none'], 'none');
  const normalise = fields.oneOf(
    'normalize_activations',
    ['none', 'expected_average_only_in'],
    'none',
  );
  const metadata = isRecord(cfg['metadata']) ? cfg['metadata'] : {};
  return {
    architecture,
    width,
    inputWidth: fields.size('d_in'),
    k,
    hook: parseHook(metadata['hook_name'], file),
    subtractDecoderBias: fields.flag('apply_b_dec_to_input', true),
    rescaleByDecoderNorm:
      architecture === 'topk' && fields.flag('rescale_acts_by_decoder_norm', false),
    scaledInput: normalise !== 'none',
    metadata,
  };
}

/** The hook of a SAELens `hook_name`. */
function parseHook(name: unknown, file: string): Hook {
  if (typeof name !== 'string') {
    throw new Failure(
      'bad-file',
      `${file} does not say which activation the SAE reads: it has no hook_name.`,
    );
  }
  if (isHook(name)) return name;
  throw new Failure(
    'unsupported',
    `${file} is of an SAE at ${name.slice(0, 80)}; Loupe reads hook_embed and blocks.N.hook_resid_pre, _mid, _post, hook_attn_out, hook_mlp_out.`,
  );
}

function isHook(name: string): name is Hook {
  return /^(hook_embed|blocks\.\d{1,4}\.hook_(resid_(pre|mid|post)|attn_out|mlp_out))$/.test(name);
}

/** Checked access to the fields of a cfg.json. */
class Fields {
  private readonly cfg: Readonly<Record<string, unknown>>;
  private readonly file: string;

  constructor(cfg: Readonly<Record<string, unknown>>, file: string) {
    this.cfg = cfg;
    this.file = file;
  }

  bad(key: string, expected: string): Failure {
    const found = (JSON.stringify(this.cfg[key]) as string | undefined) ?? 'nothing';
    return new Failure(
      'bad-file',
      `${this.file} has "${key}": ${found.slice(0, 80)}, expected ${expected}.`,
    );
  }

  size(key: string): number {
    const value = this.cfg[key];
    if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0 && value < 2 ** 31)
      return value;
    throw this.bad(key, 'a whole number above 0');
  }

  flag(key: string, missing: boolean): boolean {
    const value = this.cfg[key] ?? missing;
    if (typeof value === 'boolean') return value;
    throw this.bad(key, 'true or false');
  }

  oneOf<const T extends string>(key: string, allowed: readonly T[], missing: T): T {
    const value = this.cfg[key] ?? missing;
    const found = allowed.find(name => name === value);
    if (found !== undefined) return found;
    const failure = this.bad(key, allowed.map(name => `"${name}"`).join(' or '));
    throw typeof value === 'string' ? new Failure('unsupported', failure.message) : failure;
  }
}

/** The files before SAELens 6: everything at the top level, some of it under older names (`handle_pre_6_0_config`). */
function flatToNested(flat: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const cfg = { ...flat };
  cfg['hook_name'] ??= cfg['hook_point'];
  const activation = cfg['activation_fn'] ?? cfg['activation_fn_str'] ?? 'relu';
  if (activation !== 'relu') {
    // Never read a top-k SAE as a ReLU one: the file says so only here.
    const kwargs = cfg['activation_fn_kwargs'];
    cfg['architecture'] = activation;
    if (isRecord(kwargs)) cfg['k'] ??= kwargs['k'];
  }
  if (typeof cfg['normalize_activations'] === 'boolean') {
    cfg['normalize_activations'] = cfg['normalize_activations']
      ? 'expected_average_only_in'
      : 'none';
  }
  return {
    ...cfg,
    metadata: flat['hook_name'] === undefined ? { ...flat, hook_name: cfg['hook_name'] } : flat,
  };
}
