import { Failure } from '../../common/failure.ts';
import type { Arithmetic } from '../../onnx/arithmetic.ts';
import type { Value } from '../../onnx/graph.ts';
import { longestSilence, parameterNames, type StepShape } from '../backend.ts';
import type { TrainingSettings } from '../settings.ts';
import { adam, type Moved } from './adam.ts';
import { preActivations, strongest, strongestDead, type Strongest } from './candidates.ts';
import { reconstructAll, reconstructPrefixes, type Reconstruction } from './reconstruction.ts';
import {
  addNear,
  selectBatchTopK,
  selectJumpRelu,
  updateJumpRelu,
  type Jumped,
  type NearSums,
} from './thresholds.ts';

/** What a step's graph is made for. */
export interface StepPlan {
  readonly shape: StepShape;
  readonly settings: TrainingSettings;
  /** Rows are padded to so many. */
  readonly stride: number;
  /** Whether AuxK is part of it: not where nothing can be dead. */
  readonly auxiliary: boolean;
  /** The batch goes through in so many parts, of which one's activations are in memory at a time; the result is the same. */
  readonly parts: number;
}

/** What a step reads: what a training holds, by its names in checkpoints, and its batch. */
export interface StepInputs {
  readonly state: ReadonlyMap<string, Value>;
  readonly x: Value; // (B, D)
  readonly y: Value; // (B, D)
  /** As adam takes them, (1) each. */
  readonly rate: Value;
  readonly epsilon: Value;
  readonly keep: Value;
}

/** Results of a step in their order: the loss with what sparsity counts, the others, features dead before it, and the most tokens since one fired. */
export const resultNames = ['loss', 'squaredError', 'auxiliary', 'dead', 'longestSilent'] as const;

export interface StepOutputs {
  readonly state: ReadonlyMap<string, Value>;
  readonly results: Value; // (resultNames)
}

/** Samples that go through together, with what fires on them. */
interface Part {
  readonly x: Value; // (b, D)
  readonly y: Value; // (b, D)
  readonly candidates: Strongest;
  readonly ofDead: Strongest | undefined;
}

interface Gradients {
  readonly encoder: Value;
  readonly encoderBias: Value;
  readonly decoder: Value;
  readonly decoderBias: Value | undefined;
}

/** Adds one training step to a graph: what src/training/reference/reference.ts computes, in float32. */
export function addStep(a: Arithmetic, plan: StepPlan, inputs: StepInputs): StepOutputs {
  return new Step(a, plan, inputs).outputs();
}

class Step {
  private readonly a: Arithmetic;
  private readonly plan: StepPlan;
  private readonly inputs: StepInputs;
  private readonly next = new Map<string, Value>();

  constructor(a: Arithmetic, plan: StepPlan, inputs: StepInputs) {
    this.a = a;
    this.plan = plan;
    this.inputs = inputs;
  }

  outputs(): StepOutputs {
    const { a, plan } = this;
    const { batch } = plan.shape;
    const since = this.state('sinceFired'); // (F) int32
    const dead = a.op(
      'Not',
      a.graph.op('Less', [
        since,
        a.graph.int32([Math.min(plan.settings.deadTokens, longestSilence)]),
      ]),
    );
    const parts = this.partsOf(dead);
    const jumped = parts.map(part => this.jumped(part));
    const fired = this.firedOf(parts, jumped);
    let gradients = this.zeroGradients();
    let near: NearSums = { count: this.noFeature(), slope: this.noFeature() };
    let firings = this.noFeature(); // (F)
    const sums = [a.number(0), a.number(0), a.number(0)]; // loss, squared error, auxiliary
    const add = (at: number, value: Value) => {
      sums[at] = a.add(sums[at] ?? value, value);
    };
    parts.forEach((part, p) => {
      const values = fired[p] ?? part.candidates.values;
      const { indices } = part.candidates;
      const main = this.reconstruct(part, values);
      gradients = this.addGradients(gradients, part.x, { values, indices }, main);
      add(0, main.loss);
      add(1, main.squaredError);
      if (part.ofDead) {
        const auxiliary = this.reconstructError(part.ofDead, main.error);
        gradients = this.addGradients(gradients, part.x, part.ofDead, auxiliary);
        add(2, auxiliary.squaredError);
      }
      firings = a.scatterAdd(firings, indices, a.isAbove(values, 0));
      const jump = jumped[p];
      if (jump) near = addNear(a, near, { near: jump.near, indices, slopes: main.slopes });
    });
    this.move(gradients);
    const [loss, ...losses] = sums.map(sum => a.div(sum, batch)) as [Value, Value, Value];
    const l0 = a.div(this.totalOf(firings), batch);
    const penalty = this.learnThresholds(near, l0);
    const silent = this.countSilence(since, firings);
    const all = [a.add(loss, penalty), ...losses, this.totalOf(a.asNumber(dead)), silent];
    return { state: this.next, results: a.graph.op('Concat', all, { axis: 0n }) };
  }

  private state(name: string): Value {
    const value = this.inputs.state.get(name);
    if (!value) throw new Failure('internal', `The step has no ${name}.`);
    return value;
  }

  /** (F) zeros. */
  private noFeature(): Value {
    return this.a.zerosLike(this.state('encoderBias.value'));
  }

  /** (1) the sum of (F). */
  private totalOf(values: Value): Value {
    return this.a.graph.op('ReduceSum', [values], { keepdims: 1n });
  }

  private partsOf(dead: Value): readonly Part[] {
    const { a, plan, inputs } = this;
    const { batch, k, features } = plan.shape;
    const auxiliaryK = Math.min(plan.shape.auxiliaryK, features);
    const size = Math.ceil(batch / plan.parts);
    return Array.from({ length: Math.ceil(batch / size) }, (_, p) => {
      const rows = (value: Value) =>
        plan.parts === 1 ? value : a.slice(value, p * size, Math.min(batch, (p + 1) * size));
      const x = rows(inputs.x);
      const y = inputs.y === inputs.x ? x : rows(inputs.y);
      const pre = preActivations(
        a,
        x,
        this.state('encoder.value'),
        this.state('encoderBias.value'),
      );
      const ofDead = plan.auxiliary ? strongestDead(a, pre, dead, auxiliaryK) : undefined;
      return { x, y, candidates: strongest(a, pre, k), ofDead };
    });
  }

  private jumped({ candidates }: Part): Jumped | undefined {
    if (this.plan.settings.objective !== 'jumprelu') return undefined;
    const bandwidth = this.a.slice(this.state('sparsity'), 1, 2);
    return selectJumpRelu(this.a, candidates, this.state('logThreshold.value'), bandwidth);
  }

  /** (b, k) of each part: the candidates that fire, the others 0. */
  private firedOf(
    parts: readonly Part[],
    jumped: readonly (Jumped | undefined)[],
  ): readonly Value[] {
    const { objective, k, batch } = this.plan.settings;
    const values = parts.map(({ candidates }, p) => jumped[p]?.fired ?? candidates.values);
    if (objective !== 'batchtopk') return values;
    const selected = selectBatchTopK(this.a, values, batch * k, this.state('threshold'));
    this.next.set('threshold', selected.threshold);
    return selected.fired;
  }

  private reconstruct({ y, candidates }: Part, values: Value): Reconstruction {
    const { a } = this;
    const { budgets, batch, decoderBias } = this.plan.shape;
    const inputs = {
      fired: { ...candidates, values },
      decoder: this.state('decoder.value'),
      target: decoderBias ? a.sub(y, this.state('decoderBias.value')) : y,
      scale: 2 / batch,
    };
    return budgets.ends.length === 1
      ? reconstructAll(a, inputs)
      : reconstructPrefixes(a, inputs, budgets);
  }

  /** AuxK (Gao et al., arXiv 2406.04093): of the error, taken as a constant, by dead features. */
  private reconstructError(fired: Strongest, error: Value): Reconstruction {
    const { shape, settings } = this.plan;
    const scale = (2 * settings.auxiliaryCoefficient) / shape.batch;
    const decoder = this.state('decoder.value');
    const auxiliary = reconstructAll(this.a, { fired, decoder, target: error, scale });
    return { ...auxiliary, biasGradient: this.a.zerosLike(auxiliary.biasGradient) };
  }

  private zeroGradients(): Gradients {
    const zeros = (name: string) => this.a.zerosLike(this.state(`${name}.value`));
    return {
      encoder: zeros('encoder'),
      encoderBias: zeros('encoderBias'),
      decoder: zeros('decoder'),
      decoderBias: this.plan.shape.decoderBias ? zeros('decoderBias') : undefined,
    };
  }

  private addGradients(to: Gradients, x: Value, fired: Strongest, r: Reconstruction): Gradients {
    const { a } = this;
    const fires = a.isAbove(fired.values, 0);
    const slopes = a.unsqueeze(a.mul(r.slopes, fires), 2); // (b, k, 1)
    const zeros = a.unsqueeze(this.noPreActivation(x), 2); // (b, F, 1)
    const spread = a.graph.op('ScatterElements', [zeros, fired.indices, slopes], { axis: 1n });
    const ofPre = a.squeeze(spread, 2); // (b, F) d loss / d pre-activation
    return {
      encoder: a.graph.op('Gemm', [ofPre, x, to.encoder], { transA: 1n }), // (F, D)
      encoderBias: a.add(to.encoderBias, a.sum(ofPre, 0)),
      decoder: a.scatterAdd(to.decoder, fired.indices, r.decoderRows),
      decoderBias: to.decoderBias && a.add(to.decoderBias, r.biasGradient),
    };
  }

  /** (b, F) zeros. */
  private noPreActivation(x: Value): Value {
    const { a } = this;
    const ofSample = a.zerosLike(a.slice(x, 0, 1, 1)); // (b, 1)
    return a.add(ofSample, this.noFeature());
  }

  private move(gradients: Gradients): void {
    const { a, plan } = this;
    for (const name of parameterNames) {
      const gradient = gradients[name];
      if (!gradient) continue;
      const moved = adam(a, this.adamInputs(name), gradient);
      const unit = name === 'decoder' && plan.shape.unitDecoder;
      this.setMoved(name, unit ? { ...moved, value: this.ofLength1(moved.value) } : moved);
    }
  }

  private adamInputs(name: string) {
    const { beta1, beta2 } = this.plan.settings;
    const { rate, epsilon, keep } = this.inputs;
    return {
      value: this.state(`${name}.value`),
      firstMoment: this.state(`${name}.firstMoment`),
      secondMoment: this.state(`${name}.secondMoment`),
      ...{ beta1, beta2, rate, epsilon, keep },
    };
  }

  private setMoved(name: string, moved: Moved): void {
    this.next.set(`${name}.value`, moved.value);
    this.next.set(`${name}.firstMoment`, moved.firstMoment);
    this.next.set(`${name}.secondMoment`, moved.secondMoment);
  }

  private ofLength1(rows: Value): Value {
    const { a } = this;
    const length = a.op('Sqrt', a.reduce('ReduceSum', a.square(rows), 1, true)); // (F, 1)
    return a.div(rows, a.op('Max', length, 1e-30));
  }

  /** (1) what sparsity adds to the loss. */
  private learnThresholds(sums: NearSums, l0: Value): Value {
    const { a, plan } = this;
    const { objective, k, batch, sparsityCoefficient } = plan.settings;
    if (objective !== 'jumprelu') return a.number(0);
    const updated = updateJumpRelu(a, {
      logThreshold: this.adamInputs('logThreshold'),
      scalars: this.state('sparsity'),
      ...{ sums, l0, k, batch, sparsityCoefficient },
    });
    this.setMoved('logThreshold', updated.moved);
    this.next.set('sparsity', updated.scalars);
    return updated.penalty;
  }

  /** Counts tokens since each feature fired; (1) the most. */
  private countSilence(since: Value, firings: Value): Value {
    const { a, plan } = this;
    const longer = a.graph.op('Add', [since, a.graph.int32([plan.shape.batch])]);
    const bounded = a.graph.op('Min', [longer, a.graph.int32([longestSilence])]);
    const now = a.graph.op('Where', [a.op('Greater', firings, 0), a.graph.int32([0]), bounded]);
    this.next.set('sinceFired', now);
    return a.graph.op('ReduceMax', [a.asNumber(now)], { keepdims: 1n });
  }
}
