import { clone, create } from '@bufbuild/protobuf';
import {
  type NodeProto,
  TensorProto_DataType as DataType,
  TensorShapeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from 'onnx-buf';
import { Failure } from '../common/failure.ts';
import { Algebra } from './gradients/algebra.ts';
import { lowerings } from './gradients/lowerings.ts';
import { OpNode } from './gradients/rule.ts';
import { constantOps, constantOutputs, gradientRules } from './gradients/table.ts';
import { Graph, type Value, weightName } from './graph.ts';

export interface DifferentiateRequest {
  /** The loss: an output of floats. Of one with several elements, the sum is differentiated. */
  readonly of: string;
  /** Inputs, weights or outputs (hooks) of floats; of an output, the value that it shows. */
  readonly by: readonly string[];
  /** The outputs of the graph that stay beside the gradients; all unless given. */
  readonly keep?: readonly string[];
}

/** The output that holds the gradient by `name`, of its shape. */
export function gradientOf(name: string): string {
  return `gradient:${name}`;
}

/**
 * The graph (bytes of `Graph`) with the gradients of one output by others as further outputs: reverse-mode
 * differentiation, written as ops. What `keep` leaves out is cut away, with the inputs that only it needed.
 * Fails with 'unsupported' for an op without a rule between `by` and `of`, with 'usage' for names that do not fit.
 * See docs/differentiation.md. Source: Griewank and Walther, "Evaluating Derivatives", 2008, section 3.2.
 */
export function differentiate(model: Uint8Array, request: DifferentiateRequest): Uint8Array {
  const graph = Graph.read(model);
  const math = new Algebra(graph);
  const loss = valueNamed(graph, request.of);
  const variables = [...new Set(request.by)].map(name => valueNamed(graph, name));
  const moving = dependents(graph, variables);
  if (!moving.has(loss.name)) throw notReached(request.by.join(', '), request.of);
  lower(math, moving, ancestors(graph, [loss.name]));
  const gradients = backward(math, loss, dependents(graph, variables), variables);
  if (request.keep) keepOutputs(graph, request.keep);
  for (const variable of variables) {
    const gradient = gradients.get(variable.name);
    if (!gradient) throw notReached(variable.asked, request.of);
    const info = clone(ValueInfoProtoSchema, variable.info);
    info.name = gradientOf(variable.asked);
    graph.outputAs(gradient, info);
  }
  prune(graph);
  return graph.bytes();
}

/** A value by the name that the caller knows. */
interface NamedValue extends Value {
  readonly asked: string;
  readonly info: ValueInfoProto;
}

function valueNamed(graph: Graph, asked: string): NamedValue {
  const info = infoNamed(graph, asked);
  if (!info) {
    throw new Failure('usage', `The graph has no input, weight or output "${asked}".`);
  }
  const kind = info.type?.value;
  const type = kind?.case === 'tensorType' ? kind.value.elemType : undefined;
  if (type !== DataType.FLOAT && type !== DataType.DOUBLE) {
    throw new Failure('usage', `Expected "${asked}" to hold floats, found ${DataType[type ?? 0]}.`);
  }
  return { asked, info, name: shownBy(graph, info.name) };
}

function infoNamed(graph: Graph, asked: string): ValueInfoProto | undefined {
  const { input, output, initializer } = graph.proto;
  const info = [...input, ...output].find(({ name }) => name === asked);
  if (info) return info;
  const weight = initializer.find(({ name }) => name === asked || name === weightName(asked));
  if (!weight) return undefined;
  const dim = weight.dims.map(value => ({ value: { case: 'dimValue' as const, value } }));
  const shape = create(TensorShapeProtoSchema, { dim });
  const tensorType = { elemType: weight.dataType, shape };
  return create(ValueInfoProtoSchema, {
    name: weight.name,
    type: { value: { case: 'tensorType', value: tensorType } },
  });
}

/** An output is another name of the value that it shows; the gradient is by that value. */
function shownBy(graph: Graph, name: string): string {
  const shows = (name: string) =>
    graph.proto.node.find(node => node.opType === 'Identity' && node.output[0] === name)?.input[0];
  let value = name;
  for (let next = shows(value); next !== undefined; next = shows(next)) value = next;
  return value;
}

/** The values that change with any of the variables, themselves among them. */
function dependents(graph: Graph, variables: readonly Value[]): Set<string> {
  const moving = new Set(variables.map(({ name }) => name));
  for (const node of graph.proto.node) {
    if (constantOps.has(node.opType) || !node.input.some(name => moving.has(name))) continue;
    const constant = constantOutputs[node.opType];
    for (const [i, name] of node.output.entries()) if (!constant?.includes(i)) moving.add(name);
  }
  return moving;
}

/** The values that any of the named ones is made from, themselves among them. */
function ancestors(graph: Graph, names: readonly string[]): Set<string> {
  const needed = new Set(names);
  for (const node of graph.proto.node.toReversed()) {
    if (!node.output.some(name => needed.has(name))) continue;
    for (const name of node.input) if (name !== '') needed.add(name);
  }
  return needed;
}

/** Writes the fused ops that a gradient must pass through out in plain ones, each in its place. */
function lower(math: Algebra, moving: ReadonlySet<string>, needed: ReadonlySet<string>): void {
  const { graph } = math;
  const used = new Set(graph.proto.node.flatMap(({ input }) => input));
  for (const proto of graph.proto.node.splice(0)) {
    const lowering = lowerings[proto.opType];
    const passed = proto.output.some(name => needed.has(name));
    if (!lowering || !passed || !proto.input.some(name => moving.has(name))) {
      graph.proto.node.push(proto);
      continue;
    }
    const node = new OpNode(proto, []);
    if (proto.output.slice(1).some(name => used.has(name))) node.refuse('gives several results');
    graph.alias(lowering(math, node), node.y.name);
  }
}

/** The gradients of the loss by the variables that it depends on. */
function backward(
  math: Algebra,
  loss: Value,
  moving: ReadonlySet<string>,
  variables: readonly Value[],
): ReadonlyMap<string, Value> {
  const parts = new Map<string, Value[]>([[loss.name, [math.filled(1, loss)]]]);
  const whole = (name: string) => {
    const [first, ...others] = parts.get(name) ?? [];
    if (!first || others.length === 0) return first;
    const sum = others.reduce((sum, part) => math.add(sum, part), first);
    parts.set(name, [sum]);
    return sum;
  };
  for (const proto of math.graph.proto.node.toReversed()) {
    const results = proto.output.filter(name => moving.has(name) && parts.has(name));
    if (results.length === 0 || !proto.input.some(name => moving.has(name))) continue;
    const node = new OpNode(proto, proto.output.map(whole));
    const rules = ruleOf(proto)(math, node, node.gradients[0] ?? math.filled(0, node.y));
    for (const [i, name] of proto.input.entries()) {
      const gradient = moving.has(name) ? rules[i]?.() : undefined;
      if (!gradient) continue;
      math.assumeShape(gradient, { name });
      parts.set(name, [...(parts.get(name) ?? []), gradient]);
    }
  }
  const found = new Map<string, Value>();
  for (const { name } of variables) {
    const gradient = whole(name);
    if (gradient) found.set(name, gradient);
  }
  return found;
}

function ruleOf(node: NodeProto) {
  const rule = Object.hasOwn(gradientRules, node.opType) ? gradientRules[node.opType] : undefined;
  if (rule) return rule;
  const op = node.domain === '' ? node.opType : `${node.domain}.${node.opType}`;
  throw new Failure('unsupported', `The op ${op} (${node.name}) has no gradient rule.`, {
    action: 'Add its rule to src/onnx/gradients, as docs/differentiation.md describes.',
  });
}

function notReached(variable: string, of: string): Failure {
  return new Failure('usage', `"${of}" does not depend on "${variable}".`);
}

function keepOutputs(graph: Graph, keep: readonly string[]): void {
  const { output } = graph.proto;
  const missing = keep.find(name => !output.some(info => info.name === name));
  if (missing !== undefined) throw new Failure('usage', `The graph has no output "${missing}".`);
  const kept = output.filter(info => keep.includes(info.name));
  output.splice(0, output.length, ...kept);
}

/** Cuts away what no output is made from. */
function prune(graph: Graph): void {
  const { proto } = graph;
  const needed = ancestors(
    graph,
    proto.output.map(({ name }) => name),
  );
  proto.node = proto.node.filter(node => node.output.some(name => needed.has(name)));
  proto.initializer = proto.initializer.filter(({ name }) => needed.has(name));
  proto.input = proto.input.filter(({ name }) => needed.has(name));
}
