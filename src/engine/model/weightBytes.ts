import { routerName } from '../../lime/fittedRouters.ts';
import { lacks } from '../../onnx/devices.ts';
import { isFloat16, type LoadedModel } from './loadModel.ts';

/** Bytes of a model's weights as sessions hold them on the device that it is on. */
export function weightBytes(model: LoadedModel): number {
  const { config, weights, on } = model;
  const isHalf = isFloat16(model, on.device);
  const rows = new Set(['embed', 'positions']);
  const routers = new Set(Array.from({ length: config.layers }, (_, layer) => routerName(layer)));
  let bytes = 0;
  for (const [name, { byteLength, shape }] of weights) {
    const count = shape.reduce((product, size) => product * size, 1);
    const wide = lacks[on.device].sixteenBits ? 4 * count : byteLength;
    // What products with weights read is held in float16, rows that are looked up are not; tied ones are both.
    const isMatrix = shape.length === 2 && !rows.has(name) && !routers.has(name);
    const isTied = name === 'embed' && config.tiedEmbedding;
    const half = isHalf && (isMatrix || isTied) ? 2 * count : 0;
    bytes += isHalf && isMatrix ? half : wide + half;
  }
  return bytes;
}
