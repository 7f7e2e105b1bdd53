import { fileURLToPath } from 'node:url';
import { embeddedModel } from '../../src/common/embedded.ts';
import type { ModelRequest } from '../../src/contracts/engine.ts';

const root = new URL('../../', import.meta.url);

/** The embedded model, its decoded weights kept between test files. */
export function modelRequest(): ModelRequest {
  return {
    path: fileURLToPath(new URL(embeddedModel, root)),
    cacheFolder: fileURLToPath(new URL('.cache/weights', root)),
    threads: 2,
  };
}

/** The path of a committed fixture. */
export function fixture(name: string): string {
  return fileURLToPath(new URL(`test/fixtures/${name}`, root));
}
