/** Names of the places where activations are read or replaced, after TransformerLens. */
export type ResidualPlace = 'hook_resid_pre' | 'hook_resid_mid' | 'hook_resid_post';
export type LayerPlace = ResidualPlace | 'hook_attn_out' | 'hook_mlp_out';

export type Hook = 'hook_embed' | `blocks.${number}.${LayerPlace}`;
