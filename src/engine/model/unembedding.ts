import type { Device } from '../../contracts/engine.ts';
import { DecoderGraph } from '../../models/decoderGraph.ts';
import type { ModelConfig } from '../../models/model.ts';
import { type LoadedModel, sessionOptions } from './loadModel.ts';
import { openSession, type Session } from '../sessions/session.ts';
import {
  float32Tensor,
  float32Values,
  indexValues,
  int64Tensor,
  type Tensor,
} from '../sessions/tensors.ts';

/** The tokens whose logits one direction raises and lowers most, strongest first. */
export interface UnembeddedRow {
  readonly raised: readonly TokenLogit[];
  readonly lowered: readonly TokenLogit[];
}

export interface TokenLogit {
  readonly id: number;
  readonly logit: number;
}

const rowsPerRun = 128;

/** Directions of the residual stream read as logits: W_U (gain * row), the final norm's division left out. */
export class Unembedding {
  private readonly session: Session;
  private readonly config: ModelConfig;

  private constructor(session: Session, config: ModelConfig) {
    this.session = session;
    this.config = config;
  }

  static async open(model: LoadedModel): Promise<Unembedding> {
    // Seldom used: the weights stay mapped instead of being copied.
    const { device } = model.on;
    const session = await openSession(() => graphOf(model, device), {
      ...sessionOptions(model),
      prepack: false,
    });
    return new Unembedding(session, model.config);
  }

  async top(rows: Float32Array, count: number): Promise<readonly UnembeddedRow[]> {
    const { width, vocabulary } = this.config;
    const kept = Math.max(1, Math.min(count, vocabulary));
    const results: UnembeddedRow[] = [];
    for (let from = 0; from < rows.length; from += rowsPerRun * width) {
      const part = rows.subarray(from, from + rowsPerRun * width); // (n, D)
      const n = part.length / width;
      const outputs = await this.session.run({
        rows: float32Tensor(part, [n, width]),
        count: int64Tensor([kept], [1]),
      });
      const raised = tokensOf(outputs['raisedIds'], outputs['raisedLogits']); // (n, count)
      const lowered = tokensOf(outputs['loweredIds'], outputs['loweredLogits']);
      for (let i = 0; i < n; i++) {
        const [at, end] = [i * kept, (i + 1) * kept];
        results.push({ raised: raised.slice(at, end), lowered: lowered.slice(at, end) });
      }
    }
    return results;
  }

  dispose(): Promise<void> {
    return this.session.dispose();
  }
}

function tokensOf(ids: Tensor | undefined, logits: Tensor | undefined): TokenLogit[] {
  const values = float32Values(logits);
  return Array.from(indexValues(ids), (id, i) => ({ id, logit: values[i] ?? NaN }));
}

function graphOf({ config, weights }: LoadedModel, device: Device): Uint8Array {
  const decoder = new DecoderGraph(config, weights, { hooks: [], device });
  const { graph } = decoder;
  const rows = graph.input('rows', 'float32', ['N', config.width]);
  const count = graph.input('count', 'int64', [1]);
  const scaled = graph.op('Mul', [rows, decoder.gain('finalNorm')]); // (N, D)
  const logits = decoder.linear(scaled, config.tiedEmbedding ? 'embed' : 'unembed'); // (N, V)
  for (const [name, largest] of [
    ['raised', 1n],
    ['lowered', 0n],
  ] as const) {
    const [values, ids] = graph.ops(2, 'TopK', [logits, count], { largest }); // (N, count)
    graph.output(values, `${name}Logits`, 'float32', ['N', 'count']);
    graph.output(ids, `${name}Ids`, 'int64', ['N', 'count']);
  }
  return graph.bytes();
}
