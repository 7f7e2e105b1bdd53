import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KeyValueCache } from '../../src/engine/model/keyValueCache.ts';
import { PrefixCache } from '../../src/engine/model/prefixCache.ts';
import { float32Tensor, type Tensor } from '../../src/engine/sessions/tensors.ts';

/** A cache of so many tokens, 4 bytes each, as a device would hold it; what is disposed of is told. */
function cacheOf(tokens: number, gone: string[], name: string): KeyValueCache {
  const tensor = float32Tensor(new Float32Array(tokens), [1, 1, tokens, 1]);
  const onDevice = { location: 'gpu-buffer', size: tokens, dispose: () => gone.push(name) };
  const held = Object.create(tensor, Object.getOwnPropertyDescriptors(onDevice)) as Tensor;
  return new KeyValueCache(tokens, new Map([['key', held]]));
}

describe('keys and values on a device', () => {
  it('go when nobody holds them', () => {
    const gone: string[] = [];
    const cache = cacheOf(8, gone, 'a');
    const prefix = cache.prefix(5).hold();
    assert.deepEqual([prefix.length, prefix.byteLength, prefix.isOnDevice], [5, 32, true]);
    cache.letGo();
    assert.deepEqual(gone, []);
    prefix.letGo();
    assert.deepEqual(gone, ['a']);
  });

  it('are held by the windows that they are kept for, within the budget', () => {
    const gone: string[] = [];
    const prefixes = new PrefixCache(4 * 20);
    const put = (window: number, tokens: number, name: string): void => {
      const cache = cacheOf(tokens, gone, name);
      prefixes.put('document', window, cache);
      cache.letGo();
    };
    put(0, 8, 'first');
    put(1, 8, 'second');
    assert.deepEqual(gone, []);
    put(0, 10, 'longer first');
    assert.deepEqual(gone, ['first']);
    put(2, 9, 'third');
    assert.deepEqual(gone, ['first', 'second'], 'the one used longest ago');
    prefixes.truncate('document', 2, 4);
    assert.equal(prefixes.get('document', 2)?.valid, 4);
    prefixes.truncate('document', 2, 0);
    assert.deepEqual(gone, ['first', 'second', 'third'], 'nothing of it holds');
    prefixes.put('other', 0, cacheOf(2, gone, 'of another document'));
    prefixes.forget('document');
    assert.deepEqual(gone.slice(3), ['longer first']);
    prefixes.clear();
    assert.deepEqual(gone.slice(3), ['longer first'], 'whoever made it holds it still');
  });
});
