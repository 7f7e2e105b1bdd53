import { Failure } from '../common/failure.ts';
import type { Hook, LayerPlace } from '../contracts/hooks.ts';
import type { ModelConfig } from './model.ts';

/**
 * The residual stream's states in the order in which a run reaches them: 0 is the embedding, 2N+1 follows layer N's
 * attention, 2N+2 its feed-forward part.
 */
export type ResidualPoint = number;

interface Place {
  /** States of the residual stream behind the layer's first from which the activation is known. */
  readonly after: number;
  readonly residual: boolean;
  /** How many values it has of one token: the model's width where it does not say. */
  readonly heads?: 'heads' | 'keyValueHeads';
  readonly neurons?: true;
}

const places: Readonly<Record<LayerPlace, Place>> = {
  hook_resid_pre: { after: 0, residual: true },
  'ln1.hook_normalized': { after: 1, residual: false },
  'attn.hook_q': { after: 1, residual: false, heads: 'heads' },
  'attn.hook_k': { after: 1, residual: false, heads: 'keyValueHeads' },
  'attn.hook_v': { after: 1, residual: false, heads: 'keyValueHeads' },
  'attn.hook_z': { after: 1, residual: false, heads: 'heads' },
  'attn.hook_pattern': { after: 1, residual: false },
  hook_attn_out: { after: 1, residual: false },
  hook_resid_mid: { after: 1, residual: true },
  'ln2.hook_normalized': { after: 2, residual: false },
  'mlp.hook_in': { after: 2, residual: false },
  'mlp.hook_post': { after: 2, residual: false, neurons: true },
  hook_mlp_out: { after: 2, residual: false },
  hook_resid_post: { after: 2, residual: true },
};

interface ParsedHook {
  readonly layer: number;
  readonly place: LayerPlace;
}

/** Undefined: the text is no layer's hook (`hook_embed` is none either). */
function parse(text: string): ParsedHook | undefined {
  const match = /^blocks\.(0|[1-9]\d{0,4})\.([\w.]+)$/.exec(text);
  const place = match?.[2];
  if (!match || place === undefined || !isPlace(place)) return undefined;
  return { layer: Number(match[1]), place };
}

function isPlace(text: string): text is LayerPlace {
  return Object.hasOwn(places, text);
}

/** The hook of that name in a model of so many layers, or a failure that says which there are. */
export function hookNamed(text: string, layers: number): Hook {
  if (text === 'hook_embed') return text;
  const parsed = parse(text);
  if (parsed && parsed.layer < layers) return `blocks.${parsed.layer}.${parsed.place}`;
  const known = Object.keys(places).join(', ');
  throw new Failure(
    'usage',
    `There is no hook "${text}": expected hook_embed or blocks.N.PLACE, N from 0 to ${layers - 1}, PLACE one of ${known}.`,
  );
}

/** The first state of the residual stream from which the hook's activation is known. */
export function residualPoint(hook: Hook): ResidualPoint {
  const parsed = parse(hook);
  return parsed ? 2 * parsed.layer + places[parsed.place].after : 0;
}

/** Whether the hook is a state of the residual stream, which can be replaced, rather than what is added to it. */
export function isResidual(hook: Hook): boolean {
  const parsed = parse(hook);
  return parsed ? places[parsed.place].residual : hook === 'hook_embed';
}

/**
 * The state of the residual stream from which a run goes on where the hook's activation is replaced: the hook itself, if
 * it is one, or the last before it that is all the model goes on with.
 */
export function spliceStart(hook: Hook, { departures }: Pick<ModelConfig, 'departures'>): Hook {
  const parsed = parse(hook);
  if (!parsed || isResidual(hook)) return hook;
  const { after } = places[parsed.place];
  const place = after === 2 && !departures?.parallel ? 'hook_resid_mid' : 'hook_resid_pre';
  return `blocks.${parsed.layer}.${place}`;
}

/** The first state from which the hook's activation is known that is all the model goes on with. */
export function cutPoint(hook: Hook, { departures }: Pick<ModelConfig, 'departures'>): ResidualPoint {
  const point = residualPoint(hook);
  return departures?.parallel ? point + (point % 2) : point;
}

/** What each head mixes with what weight (H, T, T): no row per token. */
export function isPattern(hook: Hook): boolean {
  return hook.endsWith('.attn.hook_pattern');
}

/** Values of one token at the hook: D, the feed-forward part's neurons, or those of all its heads together. */
export function hookWidth(
  hook: Hook,
  config: Pick<ModelConfig, 'width' | 'heads' | 'keyValueHeads' | 'headWidth' | 'feedForward'>,
): number {
  const parsed = parse(hook);
  if (isPattern(hook)) {
    throw new Failure('usage', `${hook} has no row per token: it is (heads, tokens, tokens).`);
  }
  const { heads, neurons } = parsed ? places[parsed.place] : {};
  if (neurons) return config.feedForward;
  return heads === undefined ? config.width : config[heads] * config.headWidth;
}

/** The one name that Loupe uses for a state of the residual stream. */
export function hookAt(point: ResidualPoint): Hook {
  if (point === 0) return 'hook_embed';
  const layer = Math.floor((point - 1) / 2);
  return point % 2 ? `blocks.${layer}.hook_resid_mid` : `blocks.${layer}.hook_resid_post`;
}
