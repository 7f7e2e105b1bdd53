import type { NodeProto } from 'onnx-buf';
import { Failure } from '../../common/failure.ts';
import { floatAttribute, intAttribute, intsAttribute, textAttribute } from '../attributes.ts';
import type { Value } from '../graph.ts';
import type { Algebra } from './algebra.ts';

/**
 * How an op's gradients come from that of its result. Given `d`, the gradient of the loss by the first output (of its
 * shape), says for each input how to write the gradient by it (of the input's shape). Only what is asked for is
 * written: a frozen input costs nothing. Undefined: the input is of integers or booleans and carries no gradient.
 */
export type Rule = (math: Algebra, node: OpNode, d: Value) => readonly Gradient[];

export type Gradient = (() => Value) | undefined;

export type RuleTable = Readonly<Record<string, Rule>>;

/** One op of the graph, as rules see it. */
export class OpNode {
  readonly proto: NodeProto;
  /** The gradients by the outputs; undefined where the loss does not depend on one. */
  readonly gradients: readonly (Value | undefined)[];

  constructor(proto: NodeProto, gradients: readonly (Value | undefined)[]) {
    this.proto = proto;
    this.gradients = gradients;
  }

  /** The first input. */
  get a(): Value {
    return this.input(0);
  }

  /** The second input. */
  get b(): Value {
    return this.input(1);
  }

  /** The first output. */
  get y(): Value {
    return this.output(0);
  }

  input(index: number): Value {
    const value = this.optionalInput(index);
    if (value) return value;
    throw new Failure('bad-file', `The op ${this.description} lacks input ${index}.`);
  }

  optionalInput(index: number): Value | undefined {
    const name = this.proto.input[index];
    return name ? { name } : undefined;
  }

  output(index: number): Value {
    const name = this.proto.output[index];
    if (name) return { name };
    throw new Failure('bad-file', `The op ${this.description} lacks output ${index}.`);
  }

  int(name: string, otherwise: number): number {
    return intAttribute(this.proto, name, otherwise);
  }

  float(name: string, otherwise: number): number {
    return floatAttribute(this.proto, name, otherwise);
  }

  text(name: string, otherwise: string): string {
    return textAttribute(this.proto, name, otherwise);
  }

  ints(name: string): readonly number[] | undefined {
    return intsAttribute(this.proto, name);
  }

  /** For what an op may ask and its rule does not do. */
  refuse(what: string): never {
    throw new Failure(
      'unsupported',
      `The op ${this.description} ${what}: it has no gradient rule.`,
    );
  }

  private get description(): string {
    return `${this.proto.opType} (${this.proto.name})`;
  }
}
