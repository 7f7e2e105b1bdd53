import { Failure } from '../../common/failure.ts';
import { Arithmetic } from '../../onnx/arithmetic.ts';
import { Graph, type ElementType, type Value } from '../../onnx/graph.ts';
import { preActivations, strongest } from './candidates.ts';
import { addStep, resultNames, type StepPlan } from './step.ts';

/** An array that steps read and change. */
export interface StateEntry {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
}

/** What the output is called that holds a state after the step. */
export function nextName(name: string): string {
  return `next:${name}`;
}

/** What is fed with each step besides the state. */
export const stepScalars = ['rate', 'epsilon', 'keep'] as const;

/** One step: the state, `x`, `y` where it is another, and the scalars, to the next state and `results`. */
export function stepGraph(plan: StepPlan, state: readonly StateEntry[]): Uint8Array {
  const graph = new Graph();
  const { batch } = plan.shape;
  const held = new Map(
    state.map(({ name, type, shape }) => [name, graph.input(name, type, shape)]),
  );
  const x = graph.input('x', 'float32', [batch, plan.stride]);
  const y = plan.shape.separateTarget ? graph.input('y', 'float32', [batch, plan.stride]) : x;
  const [rate, epsilon, keep] = stepScalars.map(name => graph.input(name, 'float32', [1])) as [
    Value,
    Value,
    Value,
  ];
  const step = addStep(new Arithmetic(graph), plan, { state: held, x, y, rate, epsilon, keep });
  for (const { name, type, shape } of state)
    graph.output(nextOf(step.state, name), nextName(name), type, shape);
  graph.output(step.results, 'results', 'float32', [resultNames.length]);
  return graph.bytes();
}

/**
 * `steps` steps (an input) in a loop within one run, for devices that hold no tensors between runs: inputs as of one step,
 * with an axis of steps before those of what is fed.
 */
export function stepLoopGraph(plan: StepPlan, state: readonly StateEntry[]): Uint8Array {
  const graph = new Graph();
  const { batch } = plan.shape;
  const rows = ['S', batch, plan.stride];
  const steps = graph.input('steps', 'int64', []);
  const inputs = state.map(({ name, type, shape }) => graph.input(name, type, shape));
  const x = graph.input('x', 'float32', rows);
  const y = plan.shape.separateTarget ? graph.input('y', 'float32', rows) : x;
  const scalars = stepScalars.map(name => graph.input(name, 'float32', ['S']));
  // Names of a body must not be those around it.
  const body = new Graph(undefined, 'step:');
  const at = body.input('step:at', 'int64', []);
  const goesOn = body.input('step:goesOn', 'bool', []);
  const held = new Map(
    state.map(({ name, type, shape }) => [name, body.input(`step:${name}`, type, shape)]),
  );
  const ofStep = (value: Value) => body.op('Gather', [value, at]);
  // A number of a step, (1).
  const one = body.int64([1]);
  const [rate, epsilon, keep] = scalars.map(value => body.op('Reshape', [ofStep(value), one])) as [
    Value,
    Value,
    Value,
  ];
  const ownX = ofStep(x);
  const step = addStep(new Arithmetic(body), plan, {
    ...{ state: held, x: ownX, y: y === x ? ownX : ofStep(y), rate, epsilon, keep },
  });
  body.output(goesOn, 'step:goesOnNext', 'bool', []);
  for (const { name, type, shape } of state)
    body.output(nextOf(step.state, name), `step:${nextName(name)}`, type, shape);
  body.output(step.results, 'step:results', 'float32', [resultNames.length]);
  const outputs = graph.outputsOf(state.length + 1, 'Loop', [steps, graph.true(), ...inputs], {
    body: { body },
  });
  state.forEach(({ name, type, shape }, i) => {
    graph.output(outputs[i] ?? x, nextName(name), type, shape);
  });
  graph.output(outputs.at(-1) ?? x, 'results', 'float32', ['S', resultNames.length]);
  return graph.bytes();
}

/** The candidates of `x` (b, D), `values` and `indices` (b, K, 1), by the weights. */
export function candidatesGraph({ shape, stride }: Pick<StepPlan, 'shape' | 'stride'>): Uint8Array {
  const graph = new Graph();
  const { features, k } = shape;
  const x = graph.input('x', 'float32', ['b', stride]);
  const encoder = graph.input('encoder.value', 'float32', [features, stride]);
  const bias = graph.input('encoderBias.value', 'float32', [features]);
  const a = new Arithmetic(graph);
  const found = strongest(a, preActivations(a, x, encoder, bias), k);
  graph.output(found.values, 'values', 'float32', ['b', k]);
  graph.output(found.indices, 'indices', 'int64', ['b', k, 1]);
  return graph.bytes();
}

/** Every state as it is, to be read. */
export function downloadGraph(state: readonly StateEntry[]): Uint8Array {
  const graph = new Graph();
  for (const { name, type, shape } of state)
    graph.output(graph.input(name, type, shape), nextName(name), type, shape);
  return graph.bytes();
}

/** The state after the step: what it did not change stays as it was. */
function nextOf(state: ReadonlyMap<string, Value>, name: string): Value {
  const value = state.get(name);
  if (!value) throw new Failure('internal', `The step leaves out ${name}.`);
  return value;
}
