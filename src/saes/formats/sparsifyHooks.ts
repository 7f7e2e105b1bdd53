import { Failure } from '../../common/failure.ts';
import type { Hook } from '../../contracts/hooks.ts';

export interface SparsifyHooks {
  readonly hook: Hook;
  /** Of a transcoder. */
  readonly output?: Hook;
}

/**
 * The hooks of a sparsify folder, which has its module's name: an SAE reads the module's output, a transcoder its input
 * and writes its output. Undefined where the name is no module that Loupe knows.
 */
export function hooksOfModule(
  name: string,
  transcode: boolean,
  model: string | undefined,
): SparsifyHooks | undefined {
  if (/(^|\.)(embed_tokens|wte|embed_in)$/.test(name)) {
    return transcode ? undefined : { hook: 'hook_embed' };
  }
  const match = /(?:^|\.)(?:layers|h)[._](0|[1-9]\d{0,3})(?:\.(\w+))?$/.exec(name);
  const branch = match?.[2];
  if (!match) return undefined;
  const layer = Number(match[1]);
  if (branch === undefined) {
    const output: Hook = `blocks.${layer}.hook_resid_post`;
    return transcode ? { hook: `blocks.${layer}.hook_resid_pre`, output } : { hook: output };
  }
  const isAttention = /^(attn|self_attn|attention)$/.test(branch);
  if (!isAttention && branch !== 'mlp') return undefined;
  // There a norm follows the branch before it is added: what the module gives is at no hook.
  if (model !== undefined && /gemma-?[23]/i.test(model)) {
    throw new Failure(
      'unsupported',
      `${name} of ${model} is read before the norm that follows it; Loupe has no hook there.`,
    );
  }
  if (isAttention && transcode) return undefined;
  const output: Hook = `blocks.${layer}.${isAttention ? 'hook_attn_out' : 'hook_mlp_out'}`;
  return transcode ? { hook: `blocks.${layer}.mlp.hook_in`, output } : { hook: output };
}
