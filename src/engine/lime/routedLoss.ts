import { Failure } from '../../common/failure.ts';
import type { Routers } from '../../lime/fittedRouters.ts';
import { routerName, routerShape } from '../../lime/fittedRouters.ts';
import { buildDecoder } from '../../models/decoder.ts';
import type { Weights } from '../../models/decoderGraph.ts';
import { feeds, fetches } from '../../models/feeds.ts';
import type { ModelConfig } from '../../models/model.ts';
import { differentiate, gradientOf } from '../../onnx/differentiate.ts';
import { type LoadedModel, sessionOptions } from '../model/loadModel.ts';
import { RotaryFeeds } from '../model/rotaryFeeds.ts';
import { openSession, type Session } from '../sessions/session.ts';
import {
  float32Tensor,
  float32Values,
  int32Tensor,
  int64Tensor,
  type Tensor,
} from '../sessions/tensors.ts';

/** The loss of one window. */
export interface WindowLoss {
  /** Tokens whose surprisal was summed: all of the window but its first. */
  readonly tokens: number;
  /** Sum of -ln p(token | those before it in the window), nats. */
  readonly surprisal: number;
  /** Its gradient by each router; empty unless the loss was opened with gradients. */
  readonly gradients: Routers;
}

/** Layers that have a router: all but the first. */
export function routedLayers({ layers }: Pick<ModelConfig, 'layers'>): number[] {
  return Array.from({ length: layers - 1 }, (_, i) => i + 1);
}

/**
 * The cross-entropy of a frozen Llama with routers between its layers (LIMe, arXiv 2502.09245), which come in with each
 * run, and its gradient by them. One window at a time: memory grows with the window, not with the text.
 */
export class RoutedLoss {
  private readonly session: Session;
  private readonly config: ModelConfig;
  private readonly rotary: RotaryFeeds;
  private readonly withGradients: boolean;
  private readonly layers: readonly number[];

  private constructor(session: Session, config: ModelConfig, withGradients: boolean) {
    this.session = session;
    this.config = config;
    this.rotary = new RotaryFeeds(config);
    this.withGradients = withGradients;
    this.layers = routedLayers(config);
  }

  static async open(
    model: LoadedModel,
    { withGradients }: { readonly withGradients: boolean },
  ): Promise<RoutedLoss> {
    const { config, weights } = model;
    const names = routedLayers(config).map(routerName);
    const { device } = model.on;
    const built = () => {
      const graph = buildDecoder(
        { ...config, architecture: 'lime' },
        withRouters(weights, config),
        {
          ...{ hooks: [], head: 'loss', predictions: 1, cache: false, device },
          fed: new Set(names),
        },
      );
      if (!withGradients) return graph;
      return differentiate(graph, { of: fetches.surprisal, by: names, keep: [fetches.surprisal] });
    };
    // Measured at 135 M parameters: a plan of memory by its first run takes 0.8 GB more and gains 5 % of speed; weights
    // in the kernels' own layout take 0.6 GB more and gain nothing.
    const session = await openSession(built, {
      ...sessionOptions(model),
      prepack: false,
      memoryPattern: false,
    });
    return new RoutedLoss(session, config, withGradients);
  }

  async run(window: Uint32Array, routers: Routers): Promise<WindowLoss> {
    const outputs = await this.session.run(this.feeds(window, routers), this.fetches());
    const surprisal = float32Values(outputs[fetches.surprisal]).reduce((sum, s) => sum + s, 0);
    const gradients = this.withGradients
      ? this.layers.map((layer): [number, Float32Array] => [
          layer,
          float32Values(outputs[gradientOf(routerName(layer))]),
        ])
      : [];
    return { tokens: window.length - 1, surprisal, gradients: new Map(gradients) };
  }

  dispose(): Promise<void> {
    return this.session.dispose();
  }

  private feeds(window: Uint32Array, routers: Routers): Record<string, Tensor> {
    const { keyValueHeads } = this.config;
    const tokens = window.length - 1; // T: the last token has no successor
    const places = Array.from({ length: tokens }, (_, place) => place);
    const all: Record<string, Tensor> = {
      [feeds.ids]: int64Tensor(window.subarray(0, tokens), [tokens]),
      [feeds.labels]: int64Tensor(window.subarray(1), [tokens, 1]),
      [feeds.lastIndex]: int32Tensor([tokens - 1], [1]),
      [feeds.length]: int32Tensor([tokens], []),
      [feeds.places]: int32Tensor(places, [tokens, 1]),
    };
    const taken = Object.entries(all).filter(([name]) => this.session.takes(name));
    const values = { ...Object.fromEntries(taken), ...this.rotary.of(tokens, this.session) };
    for (const layer of this.layers) {
      const router = routers.get(layer);
      if (!router) throw new Failure('internal', `There is no router for layer ${layer}.`);
      values[routerName(layer)] = float32Tensor(router, routerShape(layer, keyValueHeads));
    }
    return values;
  }

  private fetches(): string[] {
    const gradients = this.layers.map(layer => gradientOf(routerName(layer)));
    return [fetches.surprisal, ...(this.withGradients ? gradients : [])];
  }
}

/** The model's weights and places for its routers, which no file holds. */
function withRouters(weights: Weights, { layers, keyValueHeads }: ModelConfig): Weights {
  const routers = routedLayers({ layers }).map(layer => {
    const shape = routerShape(layer, keyValueHeads);
    return [routerName(layer), { location: '', offset: 0, byteLength: 0, shape }] as const;
  });
  return new Map([...weights, ...routers]);
}
