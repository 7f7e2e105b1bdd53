import { readFile } from 'node:fs/promises';
import { Failure } from '../common/failure.ts';

/** Beside the bundle, or where a checkout's build puts it. */
const places = ['./kernel.wasm', '../../dist/kernel.wasm'];

/** The compiled training kernel of this installation. */
export async function readKernel(): Promise<Uint8Array> {
  for (const place of places) {
    try {
      return await readFile(new URL(place, import.meta.url));
    } catch (error) {
      if (Failure.from(error).code !== 'not-found') throw Failure.from(error);
    }
  }
  throw new Failure('not-found', 'This installation has no training kernel (kernel.wasm).', {
    action: 'In a checkout, run `npm run build`.',
  });
}
