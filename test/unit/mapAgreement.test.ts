import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { agreementText, mapAgreement } from '../../src/report/mapAgreement.ts';

/** A map of three layers by its rows up to the diagonal. */
function mapOf(rows: readonly (readonly number[])[]) {
  const map = new Float32Array(9);
  rows.forEach((row, layer) => map.set(row, 3 * layer));
  return { layers: 3, routers: { map, perHead: new Float32Array() } };
}

describe('the agreement of two maps', () => {
  const one = mapOf([[1], [0.25, 0.75], [0.125, 0.25, 0.625]]);

  it('is 1 with itself', () => {
    const { all, earlier } = mapAgreement(one, one);
    assert.ok(Math.abs(all - 1) < 1e-12 && Math.abs(earlier - 1) < 1e-12);
  });

  it('is told apart from what every map has on its diagonal', () => {
    const other = mapOf([[1], [0.125, 0.875], [0.25, 0.125, 0.625]]);
    const { all, earlier } = mapAgreement(one, other);
    // By hand: earlier pairs (.25, .125), (.125, .25), (.25, .125) lie on a falling line.
    assert.ok(Math.abs(earlier + 1) < 1e-12);
    assert.ok(all > 0.9);
    assert.match(agreementText('b', { all, earlier }), /^Not stable yet: against “b” .*-1\.000/);
    assert.match(agreementText('b', { all: 1, earlier: 0.95 }), /^Agrees with “b”/);
  });
});
