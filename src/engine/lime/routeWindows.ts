import type { Routing } from './routing.ts';
import type { WindowShape } from '../analysis/windows.ts';

/** Tokens that are run together: what is held of them grows with layers and heads. */
const longestWindow = 512;

/** The windows that a text is cut into, BOS before each not counted; each shares a quarter with the one before, whose tokens are context only. */
export function routeWindowShape({ model }: Pick<Routing, 'model'>): WindowShape {
  const lead = model.tokenizer.bos === undefined ? 0 : 1;
  const length = Math.min(longestWindow, model.config.contextLength - lead);
  return { length, overlap: Math.floor(length / 4) };
}

/** How the contributions in a text are measured, one sentence. */
export function routesConvention(routing: Routing): string {
  return routing.origin === 'identity'
    ? 'The model has no routers: each layer reads its own keys and values, whatever the text.'
    : `${windowsConvention(routing)}; ${initialConvention(routing)}.`;
}

/** How a text is run; the sentence is to be ended. */
export function windowsConvention(routing: Routing): string {
  const { length, overlap } = routeWindowShape(routing);
  return `The text is run in windows of ${length} tokens, the first ${overlap} of them context from the window before`;
}

/** What contributions are compared with. */
export function initialConvention({ origin }: Pick<Routing, 'origin'>): string {
  return origin === 'trained'
    ? 'at initialisation: one draw of the routers that a training begins with (seed 0), on the same buffers and attention'
    : 'at initialisation: identity routers';
}
