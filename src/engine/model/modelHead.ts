import { Failure } from '../../common/failure.ts';
import { hookAt } from '../../models/hooks.ts';
import { buildDecoder } from '../../models/decoder.ts';
import { feeds, fetches } from '../../models/feeds.ts';
import { isFloat16, type LoadedModel, sessionOptions } from './loadModel.ts';
import { pause } from '../pause.ts';
import { type GraphMaker, openSession, type Session } from '../sessions/session.ts';
import { float32Tensor, float32Values, indexValues, int64Tensor } from '../sessions/tensors.ts';

export interface HeadRequest {
  readonly head: 'logits' | 'loss';
  readonly labels?: Uint32Array; // (T)
  readonly predictions?: number; // P
  readonly signal?: AbortSignal;
}

export interface HeadResult {
  readonly logits?: Float32Array; // (T, V)
  /** -ln p(labels[t] | the tokens up to t), nats. */
  readonly surprisal?: Float32Array; // (T)
  /** The likeliest next tokens in descending order, and their probabilities. */
  readonly predictedIds?: Uint32Array; // (T, P)
  readonly probabilities?: Float32Array; // (T, P)
}

/** Tokens per run: bounds the memory of the logits, (128, V), within onnxruntime. */
const rowsPerRun = 128;

/** A model's end: from the last state of the residual stream to logits, or to surprisal and predictions. */
export class ModelHead {
  private readonly model: LoadedModel;
  private readonly sessions = new Map<HeadRequest['head'], Promise<Session>>();

  constructor(model: LoadedModel) {
    this.model = model;
  }

  async run(residual: Float32Array, request: HeadRequest): Promise<HeadResult> {
    const session = await this.session(request.head);
    const tokens = residual.length / this.model.config.width;
    return request.head === 'logits'
      ? this.logits(session, residual, tokens, request.signal)
      : this.loss(session, residual, tokens, request);
  }

  async dispose(): Promise<void> {
    const sessions = await Promise.allSettled(this.sessions.values());
    this.sessions.clear();
    for (const session of sessions)
      if (session.status === 'fulfilled') await session.value.dispose();
  }

  private session(head: HeadRequest['head']): Promise<Session> {
    let session = this.sessions.get(head);
    if (!session) {
      const { model } = this;
      const { config, weights } = model;
      const { device } = model.on;
      const from = hookAt(2 * config.layers);
      const graph: GraphMaker = on =>
        buildDecoder(config, weights, {
          ...{ from, hooks: [], head, cache: false, device, float16: isFloat16(model, on) },
        });
      session = openSession(graph, sessionOptions(model));
      session.catch(() => this.sessions.delete(head));
      this.sessions.set(head, session);
    }
    return session;
  }

  private async logits(
    session: Session,
    residual: Float32Array,
    tokens: number,
    signal: AbortSignal | undefined,
  ): Promise<HeadResult> {
    const { width, vocabulary } = this.model.config;
    const logits = new Float32Array(tokens * vocabulary); // (T, V)
    for (const [from, to] of runsOf(tokens)) {
      await pause(signal);
      const rows = float32Tensor(residual.subarray(from * width, to * width), [to - from, width]);
      const outputs = await session.run({ [feeds.residual]: rows });
      logits.set(float32Values(outputs[fetches.logits]), from * vocabulary);
    }
    return { logits };
  }

  private async loss(
    session: Session,
    residual: Float32Array,
    tokens: number,
    request: HeadRequest,
  ): Promise<HeadResult> {
    const { width, vocabulary } = this.model.config;
    const count = Math.max(1, Math.min(request.predictions ?? 1, vocabulary)); // P
    const labels = this.checkedLabels(request.labels, tokens);
    const surprisal = new Float32Array(tokens);
    const predictedIds = new Uint32Array(tokens * count);
    const probabilities = new Float32Array(tokens * count);
    for (const [from, to] of runsOf(tokens)) {
      await pause(request.signal);
      const rows = to - from;
      const outputs = await session.run({
        [feeds.residual]: float32Tensor(residual.subarray(from * width, to * width), [rows, width]),
        [feeds.labels]: int64Tensor(labels.subarray(from, to), [rows, 1]),
        [feeds.predictions]: int64Tensor([count], [1]),
      });
      surprisal.set(float32Values(outputs[fetches.surprisal]), from);
      predictedIds.set(indexValues(outputs[fetches.predictedIds]), from * count);
      probabilities.set(float32Values(outputs[fetches.probabilities]), from * count);
    }
    return { ...(request.labels && { surprisal }), predictedIds, probabilities };
  }

  private checkedLabels(labels: Uint32Array | undefined, tokens: number): Uint32Array {
    if (!labels) return new Uint32Array(tokens);
    const { vocabulary } = this.model.config;
    const strange = labels.find(id => id >= vocabulary);
    if (labels.length === tokens && strange === undefined) return labels;
    const found = strange === undefined ? `${labels.length} labels` : `the label ${strange}`;
    throw new Failure('mismatch', `Expected ${tokens} labels below ${vocabulary}, found ${found}.`);
  }
}

function* runsOf(tokens: number): Generator<readonly [from: number, to: number]> {
  for (let from = 0; from < tokens; from += rowsPerRun)
    yield [from, Math.min(from + rowsPerRun, tokens)];
}
