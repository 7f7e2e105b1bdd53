/** Names of the places where activations are read or replaced, after TransformerLens. */
export type ResidualPlace = 'hook_resid_pre' | 'hook_resid_mid' | 'hook_resid_post';
/** Within the attention: queries and keys before the rotation, values, and what each head mixes of the values. */
export type AttentionPlace = 'attn.hook_q' | 'attn.hook_k' | 'attn.hook_v' | 'attn.hook_z';
export type LayerPlace = ResidualPlace | AttentionPlace | 'hook_attn_out' | 'hook_mlp_out';

export type Hook = 'hook_embed' | `blocks.${number}.${LayerPlace}`;
