/** Names of the places where activations are read or replaced, after TransformerLens. */
export type ResidualPlace = 'hook_resid_pre' | 'hook_resid_mid' | 'hook_resid_post';
/**
 * Within the attention: queries and keys before their norm and the rotation, values, what each head mixes of the
 * values, and the weights with which it does (H, T, T).
 */
export type AttentionPlace =
  'attn.hook_q' | 'attn.hook_k' | 'attn.hook_v' | 'attn.hook_z' | 'attn.hook_pattern';
/** What the attention and the feed-forward part read, normalised, before the norm's gain. */
export type NormPlace = 'ln1.hook_normalized' | 'ln2.hook_normalized';
/** The feed-forward part's own input (after the gain), and its neurons after the activation function. */
export type FeedForwardPlace = 'mlp.hook_in' | 'mlp.hook_post';
export type LayerPlace =
  ResidualPlace | AttentionPlace | NormPlace | FeedForwardPlace | 'hook_attn_out' | 'hook_mlp_out';

export type Hook = 'hook_embed' | `blocks.${number}.${LayerPlace}`;
