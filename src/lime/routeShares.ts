import { Failure } from '../common/failure.ts';
import type { Route } from '../contracts/layerMap.ts';
import type { ModelConfig } from '../models/model.ts';

type SharesShape = Pick<ModelConfig, 'layers' | 'heads'>;

/** Where each head's output for each token came from: shares by buffer that sum to 1. */
export interface RouteShares {
  readonly tokens: number; // T
  /** (L, H, L), zeros behind each layer. */
  ofToken(token: number): Float32Array;
  /** (T) */
  ofRoute(route: Route): Float32Array;
}

/** Bytes that the shares of one token take. */
export function bytesPerToken({ layers, heads }: SharesShape): number {
  return 4 * heads * triangle(layers);
}

/** Shares of many tokens, in half the memory that their zeros would make it. */
export class TriangularShares implements RouteShares {
  readonly tokens: number;
  private readonly shape: SharesShape;
  private readonly width: number;
  private readonly values: Float32Array; // (T, sum over layers of H (layer + 1))

  constructor(tokens: number, shape: SharesShape) {
    this.tokens = tokens;
    this.shape = shape;
    this.width = bytesPerToken(shape) / 4;
    this.values = new Float32Array(tokens * this.width);
    // The first layer has nothing but its own buffer.
    for (let t = 0; t < tokens; t++)
      this.values.fill(1, t * this.width, t * this.width + shape.heads);
  }

  /** Takes norms (t, H, layer + 1) over as the shares of the tokens from `first` on. */
  set(layer: number, first: number, norms: Float32Array): void {
    const { heads } = this.shape;
    const row = heads * (layer + 1);
    const before = heads * triangle(layer);
    const shares = rowShares(norms, layer + 1);
    for (let t = 0; t * row < shares.length; t++) {
      this.values.set(shares.subarray(t * row, (t + 1) * row), (first + t) * this.width + before);
    }
  }

  ofToken(token: number): Float32Array {
    requireToken(token, this.tokens);
    const { layers, heads } = this.shape;
    const all = new Float32Array(layers * heads * layers);
    let at = token * this.width;
    for (let layer = 0; layer < layers; layer++) {
      for (let head = 0; head < heads; head++) {
        all.set(this.values.subarray(at, at + layer + 1), (layer * heads + head) * layers);
        at += layer + 1;
      }
    }
    return all;
  }

  ofRoute(route: Route): Float32Array {
    requireRoute(route, this.shape);
    const { layer, head, buffer } = route;
    const at = this.shape.heads * triangle(layer) + head * (layer + 1) + buffer;
    return Float32Array.from(
      { length: this.tokens },
      (_, t) => this.values[t * this.width + at] ?? 0,
    );
  }
}

/** Those of identity routers, whatever the text: every layer reads itself. */
export class IdentityShares implements RouteShares {
  readonly tokens: number;
  private readonly shape: SharesShape;

  constructor(tokens: number, shape: SharesShape) {
    this.tokens = tokens;
    this.shape = shape;
  }

  ofToken(token: number): Float32Array {
    requireToken(token, this.tokens);
    const { layers, heads } = this.shape;
    return Float32Array.from({ length: layers * heads * layers }, (_, at) =>
      at % layers === Math.floor(at / (heads * layers)) ? 1 : 0,
    );
  }

  ofRoute(route: Route): Float32Array {
    requireRoute(route, this.shape);
    return new Float32Array(this.tokens).fill(route.buffer === route.layer ? 1 : 0);
  }
}

/** Norms in rows of `buffers`, each divided by its sum; a row of zeros stays one. */
export function rowShares(norms: Float32Array, buffers: number): Float32Array {
  const shares = new Float32Array(norms.length);
  for (let row = 0; row < norms.length; row += buffers) {
    let sum = 0;
    for (let j = 0; j < buffers; j++) sum += norms[row + j] ?? 0;
    if (sum > 0) for (let j = 0; j < buffers; j++) shares[row + j] = (norms[row + j] ?? 0) / sum;
  }
  return shares;
}

/** Refuses a layer, head of queries or buffer that the model does not have. */
export function requireRoute({ layer, head, buffer }: Route, { layers, heads }: SharesShape): void {
  const within = (value: number, end: number) =>
    Number.isInteger(value) && value >= 0 && value < end;
  const refuse = (what: string, value: number, end: number): void => {
    if (within(value, end)) return;
    throw new Failure('usage', `There is no ${what} ${value}: expected one from 0 to ${end - 1}.`);
  };
  refuse('layer', layer, layers);
  refuse('head', head, heads);
  refuse(`buffer of layer ${layer} with number`, buffer, layer + 1);
}

function requireToken(token: number, tokens: number): void {
  if (Number.isInteger(token) && token >= 0 && token < tokens) return;
  throw new Failure('usage', `There is no token ${token}: ${tokens} were run.`);
}

/** 1 + 2 + ... + n */
function triangle(n: number): number {
  return (n * (n + 1)) / 2;
}
