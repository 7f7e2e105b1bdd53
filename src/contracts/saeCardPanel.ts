import type { Call } from './call.ts';
import type { SaeCard, TensorTable } from './lookAt.ts';

/** What the page about an SAE's file may ask of the extension host. */
export interface SaeCardHost {
  /** The page is ready to draw: the host answers with the present state and then sends `SaeCardView.show`. */
  ready: Call<null, SaeCardState>;
  /** Makes this SAE the one in use. */
  use: Call<null, null>;
}

/** What the host tells the page. */
export interface SaeCardView {
  show: Call<SaeCardState, null>;
}

export type SaeCardState =
  | { readonly kind: 'loading' }
  | { readonly kind: 'failed'; readonly message: string }
  | {
      readonly kind: 'sae';
      readonly card: SaeCard;
      readonly inUse: boolean;
      /** Whether it can be used with the model in use, as far as its shape tells. */
      readonly usable: boolean;
      /** What speaks against using it with the model in use, if anything does. */
      readonly obstacle: string | null;
    }
  | { readonly kind: 'tensors'; readonly table: TensorTable };
