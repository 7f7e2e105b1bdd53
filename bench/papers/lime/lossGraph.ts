import { openSession, type Session } from '../../../src/engine/sessions/session.ts';
import {
  float32Tensor,
  float32Values,
  int32Tensor,
  int64Tensor,
  type Tensor,
} from '../../../src/engine/sessions/tensors.ts';
import { RotaryFeeds } from '../../../src/engine/model/rotaryFeeds.ts';
import { buildDecoder } from '../../../src/models/decoder.ts';
import { feeds, fetches } from '../../../src/models/feeds.ts';
import type { ModelConfig } from '../../../src/models/model.ts';
import { differentiate, gradientOf } from '../../../src/onnx/differentiate.ts';
import { parametersOf, valuesOf, type Parameter } from './parameters.ts';

/** The model's surprisal on a window, and its gradient by every weight; the weights come in with each run. */
export class LossGraph {
  readonly parameters: readonly Parameter[];
  private readonly forward: Session;
  private readonly backward: Session;
  private readonly rotary: RotaryFeeds;

  private constructor(config: ModelConfig, forward: Session, backward: Session) {
    this.parameters = parametersOf(config);
    this.forward = forward;
    this.backward = backward;
    this.rotary = new RotaryFeeds(config);
  }

  static async open(config: ModelConfig, threads: number): Promise<LossGraph> {
    const parameters = parametersOf(config);
    const names = parameters.map(({ name }) => name);
    const weights = new Map(
      parameters.map(({ name, shape, length }) => [
        name,
        { location: '', offset: 0, byteLength: 4 * length, shape },
      ]),
    );
    const request = { hooks: [], head: 'loss', cache: false, fed: new Set(names) } as const;
    const graph = buildDecoder(config, weights, request);
    const kept = { of: fetches.surprisal, by: names, keep: [fetches.surprisal] };
    const options = { threads, allowSpinning: false };
    const forward = await openSession(graph, options);
    const backward = await openSession(differentiate(graph, kept), options);
    return new LossGraph(config, forward, backward);
  }

  /** The surprisal in nats of the tokens of a window (T + 1) after its first: (T). */
  async surprisal(weights: Float32Array, window: Uint32Array): Promise<Float32Array> {
    const outputs = await this.forward.run(this.feeds(weights, window), [fetches.surprisal]);
    return float32Values(outputs[fetches.surprisal]);
  }

  /** Adds the gradient of the sum of the window's surprisals, which it returns. */
  async addGradient(
    weights: Float32Array,
    window: Uint32Array,
    gradient: Float32Array,
  ): Promise<number> {
    const outputs = await this.backward.run(this.feeds(weights, window));
    for (const parameter of this.parameters) {
      const own = valuesOf(gradient, parameter);
      const added = float32Values(outputs[gradientOf(parameter.name)]);
      for (let i = 0; i < own.length; i++) own[i] = (own[i] ?? NaN) + (added[i] ?? NaN);
    }
    return sum(float32Values(outputs[fetches.surprisal]));
  }

  async dispose(): Promise<void> {
    await this.forward.dispose();
    await this.backward.dispose();
  }

  private feeds(weights: Float32Array, window: Uint32Array): Record<string, Tensor> {
    const tokens = window.length - 1;
    return {
      [feeds.ids]: int64Tensor(window.subarray(0, tokens), [tokens]),
      [feeds.labels]: int64Tensor(window.subarray(1), [tokens, 1]),
      [feeds.predictions]: int64Tensor([1], [1]),
      [feeds.lastIndex]: int32Tensor([tokens - 1], [1]),
      [feeds.length]: int32Tensor([tokens], []),
      ...this.rotary.of(tokens, this.backward),
      ...Object.fromEntries(
        this.parameters.map(parameter => [
          parameter.name,
          float32Tensor(valuesOf(weights, parameter), parameter.shape),
        ]),
      ),
    };
  }
}

export function sum(values: Float32Array): number {
  return values.reduce((total, value) => total + value, 0);
}
