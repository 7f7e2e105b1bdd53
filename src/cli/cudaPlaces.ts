import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import type { CudaPlaces } from '../cuda/installCuda.ts';
import { cacheFolder } from './cacheFolder.ts';

/** Where the command line's onnxruntime-node is, and where one with CUDA's libraries goes. */
export function cudaPlaces(): CudaPlaces {
  const found = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
  return { modules: dirname(dirname(found)), storage: cacheFolder() };
}
