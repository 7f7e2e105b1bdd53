import { readFile } from 'node:fs/promises';
import { Failure } from '../../common/failure.ts';
import { installedFile } from '../installedFile.ts';

/** The compiled training kernel of this installation. */
export async function readKernel(): Promise<Uint8Array> {
  try {
    return await readFile(installedFile('dist/kernel.wasm'));
  } catch (error) {
    if (Failure.from(error).code !== 'not-found') throw Failure.from(error);
  }
  throw new Failure('not-found', 'This installation has no training kernel (kernel.wasm).', {
    action: 'In a checkout, run `npm run build`.',
  });
}
