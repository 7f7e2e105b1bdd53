import type { NodeProto, TensorProto } from 'onnx-buf';

/** The integer attribute, or what ONNX says it is where the node leaves it out. */
export function intAttribute(node: NodeProto, name: string, otherwise: number): number {
  const attribute = node.attribute.find(attribute => attribute.name === name);
  return attribute ? Number(attribute.i) : otherwise;
}

export function floatAttribute(node: NodeProto, name: string, otherwise: number): number {
  return node.attribute.find(attribute => attribute.name === name)?.f ?? otherwise;
}

export function textAttribute(node: NodeProto, name: string, otherwise: string): string {
  const bytes = node.attribute.find(attribute => attribute.name === name)?.s;
  return bytes ? new TextDecoder().decode(bytes) : otherwise;
}

export function intsAttribute(node: NodeProto, name: string): readonly number[] | undefined {
  return node.attribute.find(attribute => attribute.name === name)?.ints.map(Number);
}

/** The integers of a small int64 constant. */
export function integersOf({ rawData, int64Data }: TensorProto): readonly number[] {
  if (rawData.length === 0) return int64Data.map(Number);
  return Array.from(new BigInt64Array(rawData.slice().buffer), Number);
}
