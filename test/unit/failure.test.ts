import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';

describe('a failure', () => {
  it('of another bundle, whose class is another, is one all the same', () => {
    class OtherFailure extends Error {
      override readonly name = 'Failure';
      readonly code = 'no-access';
      readonly action = 'Ask.';
    }
    const other: unknown = new OtherFailure('No.');
    assert.ok(other instanceof Failure);
    assert.ok(Failure.is(other, 'no-access'));
    assert.equal(Failure.from(other), other);
    assert.equal(Failure.from(other).action, 'Ask.');
  });

  it('is no other error, and nothing that only looks like one', () => {
    const plain: unknown = Object.assign(new Error('x'), { code: 'ENOSPC' });
    const thing: unknown = { name: 'Failure', code: 'usage' };
    assert.ok(!(plain instanceof Failure));
    assert.ok(!(thing instanceof Failure));
    assert.equal(Failure.from(plain).code, 'no-space');
  });
});
