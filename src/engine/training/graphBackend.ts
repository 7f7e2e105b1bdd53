import { Failure } from '../../common/failure.ts';
import { deviceNames } from '../../contracts/devices.ts';
import type { Device } from '../../contracts/engine.ts';
import {
  stepShapeOf,
  type BackendRequest,
  type StepOptions,
  type StepResult,
  type TrainingArrays,
  type TrainingBackend,
} from '../../training/backend.ts';
import { resultNames, type StepPlan } from '../../training/graph/step.ts';
import {
  candidatesGraph,
  nextName,
  downloadGraph,
  stepGraph,
  stepLoopGraph,
  stepScalars,
  type StateEntry,
} from '../../training/graph/stepGraph.ts';
import { hostArrays } from '../../training/hostArrays.ts';
import { orDeviceLost, smallerParts } from '../../training/deviceLost.ts';
import type { TrainingSettings } from '../../training/settings.ts';
import { openSparsity, type Sparsity } from '../../training/sparsity.ts';
import { trainingTensors } from '../../training/trainingTensors.ts';
import { GraphSessions } from './graphSessions.ts';
import type { Session } from '../sessions/session.ts';
import { float32Tensor, float32Values, int64Tensor, Tensor } from '../sessions/tensors.ts';

export interface GraphBackendOptions {
  readonly device: Device;
  /** Whether the device holds tensors between runs; otherwise several steps go into one run. */
  readonly holdsTensors?: boolean;
  /** Hears what a user should know, in a sentence. */
  readonly warn?: ((message: string) => void) | undefined;
}

/** Steps between two that are read: each read waits for the device. */
const readSteps = 16;

type State = Readonly<Record<string, Tensor>>;

/** A batch that waits for its step. */
interface Batch {
  readonly x: Float32Array;
  readonly y: Float32Array;
  readonly options: StepOptions;
}

/** Bytes of the largest array of a step at first; more goes through in parts. WebGPU binds at most so much almost anywhere. */
const largestArray = 2 ** 30;

/**
 * Steps as an ONNX graph on a device, which keeps weights, moments and counters from one run to the next. A device that
 * holds no tensors between runs takes `readSteps` steps in one.
 */
export class GraphBackend implements TrainingBackend {
  readonly device: string;
  readonly readSteps = readSteps;
  readonly arrays: TrainingArrays;
  readonly sparsity: Sparsity;
  private readonly settings: TrainingSettings;
  private readonly options: GraphBackendOptions;
  private readonly entries: readonly StateEntry[];
  private readonly sessions: GraphSessions;
  /** Before the next step: on the device, or the memory of the arrays. */
  private state: State;
  private isOfArrays = true;
  /** Whether the arrays are as the steps have left them. */
  private isDownloaded = true;
  private waiting: Batch[] = [];
  private parts: number;
  /** Most tokens since a feature fired when that was last known, and steps since. */
  private silence = 0;
  private stepsSince = 0;

  private constructor(request: BackendRequest, options: GraphBackendOptions) {
    const { settings } = request;
    this.settings = settings;
    this.options = options;
    this.device = deviceNames[options.device];
    this.sessions = new GraphSessions(options.device, settings.threads);
    this.arrays = hostArrays(stepShapeOf(request));
    this.sparsity = openSparsity(settings);
    this.entries = Object.entries(trainingTensors(this.arrays, this.sparsity)).map(
      ([name, { dtype, shape }]) => ({ name, shape, type: dtype === 'U32' ? 'int32' : 'float32' }),
    );
    this.state = this.ofArrays();
    const { features, k } = this.arrays.shape;
    const largest = 4 * settings.batch * Math.max(features, k * this.arrays.stride);
    this.parts = Math.min(settings.batch, Math.ceil(largest / largestArray));
  }

  /** Refuses, at once, a device that cannot run it. */
  static async open(request: BackendRequest, options: GraphBackendOptions): Promise<GraphBackend> {
    const backend = new GraphBackend(request, options);
    try {
      await backend.stepSession(false);
      return backend;
    } catch (error) {
      await backend.dispose();
      throw error;
    }
  }

  async step(options: StepOptions, read: boolean): Promise<StepResult | undefined> {
    if (this.isOfArrays && this.waiting.length === 0 && this.settings.objective === 'jumprelu') {
      await this.encode();
      this.sparsity.begin(this.arrays);
    }
    const { input, target } = this.arrays;
    const x = input.slice();
    this.waiting.push({ x, y: target === input ? x : target.slice(), options });
    if (!read && this.isInLoops && this.waiting.length < readSteps) return undefined;
    return this.takeWaiting(read);
  }

  encode(): Promise<void> {
    return orDeviceLost(this.device, () => this.inParts(() => this.encodeParts()));
  }

  async download(): Promise<void> {
    await this.takeWaiting(false);
    if (this.isDownloaded) return;
    const here = Object.values(this.state).every(({ location }) => location === 'cpu');
    const held = here ? this.state : await this.read('state', this.entries, this.state);
    for (const [name, { data }] of Object.entries(trainingTensors(this.arrays, this.sparsity))) {
      const values = held[here ? name : nextName(name)]?.data;
      if (!(values instanceof Float32Array || values instanceof Int32Array)) return missing(name);
      data.set(values as never);
    }
    this.isDownloaded = true;
  }

  upload(): Promise<void> {
    this.waiting = [];
    letGo(this.state);
    this.state = this.ofArrays();
    this.isOfArrays = true;
    this.isDownloaded = true;
    this.silence = this.arrays.sinceFired.reduce((most, tokens) => Math.max(most, tokens), 0);
    this.stepsSince = 0;
    return Promise.resolve();
  }

  async dispose(): Promise<void> {
    letGo(this.state);
    this.state = {};
    await this.sessions.dispose();
  }

  private get isInLoops(): boolean {
    return this.options.holdsTensors === false;
  }

  /** Takes the steps that wait, in one run; the last one's result, where it is read. */
  private async takeWaiting(read: boolean): Promise<StepResult | undefined> {
    if (this.waiting.length === 0) return undefined;
    const results = await orDeviceLost(this.device, () =>
      this.inParts(() => this.take(this.waiting)),
    );
    this.waiting = [];
    try {
      return read ? await this.resultOf(results) : undefined;
    } finally {
      letGo({ results });
    }
  }

  private async encodeParts(): Promise<void> {
    const { input, shape, stride, values, indices } = this.arrays;
    const { batch, k } = shape;
    const graph = (): Uint8Array => candidatesGraph({ shape, stride });
    const session = await this.sessions.of('candidates', graph);
    const size = Math.ceil(batch / this.parts);
    for (let from = 0; from < batch; from += size) {
      const to = Math.min(batch, from + size);
      const result = await session.run({
        x: float32Tensor(input.subarray(from * stride, to * stride), [to - from, stride]),
        ...this.stateOf(['encoder.value', 'encoderBias.value']),
      });
      values.set(float32Values(result['values']), from * k);
      const found = result['indices']?.data;
      if (found instanceof BigInt64Array) indices.set(found, from * k);
    }
  }

  /** Does the work in as many parts as memory asks for. */
  private async inParts<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!Failure.is(error, 'out-of-memory') || this.parts >= this.settings.batch) throw error;
        await this.halve();
      }
    }
  }

  private async take(batches: readonly Batch[]): Promise<Tensor> {
    const { length: steps } = batches;
    const session = await this.stepSession(this.mayBeDead(steps));
    const { separateTarget } = this.arrays.shape;
    const { results = missing('results'), ...next } = await session.run({
      ...this.state,
      x: this.rowsOf(batches.map(({ x }) => x)),
      ...(separateTarget && { y: this.rowsOf(batches.map(({ y }) => y)) }),
      ...scalarsOf(batches.map(({ options }) => options)),
      ...(this.isInLoops && { steps: int64Tensor([steps], []) }),
    });
    letGo(this.state);
    this.state = Object.fromEntries(
      this.entries.map(({ name }) => [name, next[nextName(name)] ?? missing(name)]),
    );
    this.isOfArrays = false;
    this.isDownloaded = false;
    this.stepsSince += steps;
    return results;
  }

  private async resultOf(results: Tensor): Promise<StepResult> {
    const entry = { name: 'results', type: 'float32', shape: [resultNames.length] } as const;
    const here =
      results.location === 'cpu'
        ? results
        : (await this.read('results', [entry], { results }))[nextName('results')];
    const [loss = NaN, squaredError = NaN, auxiliary = NaN, dead = NaN, longest = NaN] =
      float32Values(here).subarray(-resultNames.length);
    this.silence = longest;
    this.stepsSince = 0;
    return { loss, squaredError, auxiliary: dead > 0 ? auxiliary : 0, dead };
  }

  /** Whether in one of the next steps a feature may be dead: only then AuxK is worth its time. */
  private mayBeDead(steps: number): boolean {
    const { batch, auxiliaryK } = this.arrays.shape;
    const silence = this.silence + batch * (this.stepsSince + steps - 1);
    return auxiliaryK > 0 && silence >= this.settings.deadTokens;
  }

  /** Half as much at a time: the same step in more parts. */
  private async halve(): Promise<void> {
    this.parts = Math.min(this.settings.batch, 2 * this.parts);
    await this.sessions.renew(() => this.stepSession(false));
    this.options.warn?.(smallerParts(this.device, Math.ceil(this.settings.batch / this.parts)));
  }

  private stepSession(auxiliary: boolean): Promise<Session> {
    const { settings, entries, parts, isInLoops } = this;
    const { shape, stride } = this.arrays;
    const plan: StepPlan = { shape, settings, stride, auxiliary, parts };
    const graph = () => (isInLoops ? stepLoopGraph(plan, entries) : stepGraph(plan, entries));
    const left = [...entries.map(({ name }) => nextName(name)), 'results'];
    return this.sessions.of(auxiliary ? 'step with AuxK' : 'step', graph, isInLoops ? [] : left);
  }

  /** Tensors of the device in this process's memory, with the outputs' names. */
  private read(what: string, entries: readonly StateEntry[], held: State): Promise<State> {
    return orDeviceLost(this.device, async () => {
      const session = await this.sessions.of(`download of ${what}`, () => downloadGraph(entries));
      return session.run(held);
    });
  }

  private stateOf(names: readonly string[]): State {
    return Object.fromEntries(names.map(name => [name, this.state[name] ?? missing(name)]));
  }

  /** Tensors on the memory of the arrays: what is written there is fed with the next step. */
  private ofArrays(): State {
    const tensors = Object.entries(trainingTensors(this.arrays, this.sparsity));
    return Object.fromEntries(
      tensors.map(([name, { data, shape }]) => [
        name,
        data instanceof Uint32Array
          ? new Tensor('int32', new Int32Array(data.buffer, data.byteOffset, data.length), shape)
          : float32Tensor(data as Float32Array, shape),
      ]),
    );
  }

  /** (B, stride), or (steps, B, stride) for a run of several steps. */
  private rowsOf(batches: readonly Float32Array[]): Tensor {
    const { stride, shape } = this.arrays;
    const [only = new Float32Array()] = batches;
    if (!this.isInLoops) return float32Tensor(only, [shape.batch, stride]);
    const all = new Float32Array(batches.length * only.length);
    batches.forEach((rows, step) => all.set(rows, step * only.length));
    return float32Tensor(all, [batches.length, shape.batch, stride]);
  }
}

/** Adam's corrections are folded into the rate and epsilon: m / c1 / (sqrt(s / c2) + eps). */
function scalarsOf(steps: readonly StepOptions[]): State {
  const scalars = steps.map(o => {
    const correction1 = 1 - o.beta1 ** o.step;
    const correction2 = Math.sqrt(1 - o.beta2 ** o.step);
    return {
      rate: (o.learningRate * correction2) / correction1,
      epsilon: o.epsilon * correction2,
      keep: 1 - o.learningRate * o.weightDecay,
    };
  });
  const shape = [steps.length];
  return Object.fromEntries(
    stepScalars.map(name => [
      name,
      float32Tensor(
        Float32Array.from(scalars, scalar => scalar[name]),
        shape,
      ),
    ]),
  );
}

function letGo(state: State): void {
  for (const tensor of Object.values(state)) {
    if (tensor.location !== 'gpu-buffer') continue;
    try {
      tensor.dispose();
    } catch {
      // It went with its device.
    }
  }
}

function missing(name: string): never {
  throw new Failure('internal', `The training's ${name} is missing.`);
}
