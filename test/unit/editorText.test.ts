import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { analysisRegion, looksBinary } from '../../src/common/analysisRegion.ts';
import { formatActivation, formatFigure, formatPercent } from '../../src/common/numbers.ts';
import { RestartPolicy } from '../../src/common/restartPolicy.ts';
import { visibleText } from '../../src/common/visibleText.ts';

describe('analysisRegion', () => {
  const lines = Array.from({ length: 100 }, (_, i) => `line ${String(i).padStart(3, '0')}\n`).join(
    '',
  );

  it('is the whole text where that is short enough', () => {
    assert.deepEqual(analysisRegion('abc', { start: 0, end: 3 }, 3), { start: 0, end: 3 });
    assert.deepEqual(analysisRegion('', { start: 0, end: 0 }, 3), { start: 0, end: 0 });
  });

  it('is around what is visible, in whole lines, within the limit, and never outside the text', () => {
    for (let visible = 0; visible < lines.length; visible += 7) {
      const region = analysisRegion(lines, { start: visible, end: visible + 20 }, 200);
      const text = lines.slice(region.start, region.end);
      assert.ok(text.length <= 200 && text.length > 150, `${text.length} characters`);
      assert.match(text, /^(line \d{3}\n)+$/);
      assert.ok(region.start <= visible && visible < region.end, `${visible} is not in the region`);
    }
  });

  it('is within the limit where far more than that is visible', () => {
    const region = analysisRegion(lines, { start: 100, end: 800 }, 200);
    assert.ok(region.start <= 108 && region.end - region.start <= 200);
  });

  it('cuts one long line, but no surrogate pair', () => {
    const text = '😀'.repeat(1000);
    for (const start of [0, 501, 1000, 1999]) {
      const region = analysisRegion(text, { start, end: start + 1 }, 101);
      assert.ok(region.end - region.start > 90 && region.end - region.start <= 102);
      assert.match(text.slice(region.start, region.end), /^(😀)+$/u);
    }
  });
});

describe('looksBinary', () => {
  it('tells bytes read as text from text', () => {
    assert.equal(looksBinary('PNG\0\u0001'), true);
    assert.equal(looksBinary('\uFFFDa'.repeat(40)), true);
    assert.equal(looksBinary('One \uFFFD in a long English text. '.repeat(20)), false);
    assert.equal(looksBinary('Привет 😀'), false);
  });
});

describe('RestartPolicy', () => {
  it('starts again once, but not when the process stops again within a minute', () => {
    const policy = new RestartPolicy();
    assert.equal(policy.stoppedOn(1_000, undefined), 'as it was');
    assert.equal(policy.stoppedOn(60_000, undefined), 'no');
    assert.equal(policy.stoppedOn(119_000, undefined), 'no');
    assert.equal(policy.stoppedOn(180_001, undefined), 'as it was');
  });

  it('leaves a device on which the process stopped twice, and gives up on the CPU', () => {
    const policy = new RestartPolicy();
    assert.equal(policy.stoppedOn(1_000, 'WebGPU'), 'as it was');
    assert.equal(policy.stoppedOn(20_000, 'WebGPU'), 'on the CPU');
    assert.equal(policy.stoppedOn(30_000, undefined), 'no');
  });

  it('leaves it too where the process takes minutes to load there, but not for stops hours apart', () => {
    const minute = 60_000;
    const policy = new RestartPolicy();
    assert.equal(policy.stoppedOn(0, 'the graphics card'), 'as it was');
    assert.equal(policy.stoppedOn(29 * minute, 'CUDA'), 'on the CPU');
    const rare = new RestartPolicy();
    assert.equal(rare.stoppedOn(0, 'CUDA'), 'as it was');
    assert.equal(rare.stoppedOn(120 * minute, 'CUDA'), 'as it was');
  });

  it('takes a stop on the CPU for none of the device', () => {
    const policy = new RestartPolicy();
    assert.equal(policy.stoppedOn(0, undefined), 'as it was');
    assert.equal(policy.stoppedOn(30_000, 'WebGPU'), 'as it was');
  });

  it('remembers a device for as long as it is told to', () => {
    const policy = new RestartPolicy(Infinity);
    assert.equal(policy.stoppedOn(0, 'WebGPU'), 'as it was');
    assert.equal(policy.stoppedOn(1e9, 'WebGPU'), 'on the CPU');
  });
});

describe('text for people', () => {
  it('is a figure without an exponent, of two digits unless more are asked for', () => {
    const told = [250, 118.4, 20, 9.96, 3, 0.2, 0.00123].map(value => formatFigure(value));
    assert.deepEqual(told, ['250', '120', '20', '10', '3', '0.2', '0.0012']);
    assert.equal(formatFigure(12_345.678, 4), '12350');
    assert.equal(formatFigure(20, 1), '20');
  });

  it('shows whitespace, controls and direction changes as signs', () => {
    assert.equal(visibleText(' a\n\tb'), '␣a↵→b');
    assert.equal(visibleText('\u202Ex\u0007'), '\\u{202e}x\\u{7}');
    assert.equal(visibleText('x'.repeat(99), 5), 'xxxx…');
    assert.equal(visibleText('日本é😀'), '日本é😀');
  });

  it('writes numbers with as many digits as they need', () => {
    assert.deepEqual([0.1234, 12.34, 1234.5].map(formatActivation), ['0.12', '12.3', '1235']);
    assert.deepEqual([0, 0.00001, 0.0042, 0.0567, 0.9].map(formatPercent), [
      '0.00 %',
      '<0.01 %',
      '0.42 %',
      '5.7 %',
      '90 %',
    ]);
    assert.equal(formatPercent(NaN), '–');
  });
});
