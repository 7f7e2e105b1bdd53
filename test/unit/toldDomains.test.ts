import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { newlyRefused } from '../../src/editor/domains/toldDomains.ts';

/** A memory that survives windows: only JSON passes through it. */
class WorkspaceState {
  private readonly json = new Map<string, string>();

  get(key: string): unknown {
    const value = this.json.get(key);
    return value === undefined ? undefined : JSON.parse(value);
  }

  update(key: string, value: unknown): void {
    this.json.set(key, JSON.stringify(value));
  }
}

function told(memory: WorkspaceState, hash: string, ...domains: readonly string[]): string[] {
  const refused = domains.map(domain => {
    const [path = '', message = 'does not fit'] = domain.split(': ');
    return { name: path, path, message };
  });
  return newlyRefused(memory, { hash, refused }).map(({ path, message }) => `${path}: ${message}`);
}

describe('newlyRefused', () => {
  it('names a domain once for an SAE, also in the windows that come after', () => {
    const memory = new WorkspaceState();
    assert.deepEqual(told(memory, 'a', '/one'), ['/one: does not fit']);
    assert.deepEqual(told(memory, 'a', '/one'), []);
    assert.deepEqual(told(memory, 'a', '/one', '/two'), ['/two: does not fit']);
    assert.deepEqual(told(memory, 'a', '/two', '/one'), []);
  });

  it('names it again for another SAE, and keeps what was told of the first', () => {
    const memory = new WorkspaceState();
    told(memory, 'a', '/one');
    assert.deepEqual(told(memory, 'b', '/one'), ['/one: does not fit']);
    assert.deepEqual(told(memory, 'a', '/one'), []);
  });

  it('names it again for another reason, or after it was well', () => {
    const memory = new WorkspaceState();
    told(memory, 'a', '/one');
    assert.deepEqual(told(memory, 'a', '/one: is gone'), ['/one: is gone']);
    told(memory, 'a');
    assert.deepEqual(told(memory, 'a', '/one: is gone'), ['/one: is gone']);
  });
});
