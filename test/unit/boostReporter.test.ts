import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Gate } from '../../src/common/gate.ts';
import type { BoostProgress } from '../../src/contracts/trainer.ts';
import { BoostReporter } from '../../src/engine/boost/boostReporter.ts';

/** A reporter under a clock of seconds that the test moves, and what it said last. */
function reporting() {
  let milliseconds = 5_000;
  const gate = new Gate(() => milliseconds);
  const sent: BoostProgress[] = [];
  const reporter = new BoostReporter(
    progress => sent.push(progress),
    () => gate.openTime,
  );
  return {
    gate,
    reporter,
    wait: (seconds: number) => void (milliseconds += 1000 * seconds),
    left: () => {
      const seconds = sent.at(-1)?.secondsLeft;
      return typeof seconds === 'number' ? Math.round(10 * seconds) / 10 : seconds;
    },
  };
}

const plan = [
  { phase: 'computing activations', seconds: 100 },
  { phase: 'training', seconds: 40 },
  { phase: 'measuring', seconds: 20 },
] as const;

describe('BoostReporter', () => {
  it('does not know before anything is expected', () => {
    const { reporter, wait, left } = reporting();
    reporter.enter('reading text');
    reporter.at(0);
    wait(10);
    reporter.at(0.5);
    assert.equal(left(), null);
  });

  it('says what is expected of this phase and those after it, until the phase shows its pace', () => {
    const { reporter, wait, left } = reporting();
    reporter.expect(plan);
    reporter.enter('computing activations');
    assert.equal(left(), 160);
    reporter.at(0);
    wait(30);
    reporter.at(0.5);
    assert.equal(left(), 30 + 60);
    reporter.enter('training');
    assert.equal(left(), 60);
    reporter.enter('calibrating');
    assert.equal(left(), 20, 'a phase that nothing is expected of');
    reporter.enter('measuring');
    reporter.at(0);
    wait(3);
    reporter.at(1);
    assert.equal(left(), 0);
  });

  it('leaves out the time for which it was paused', () => {
    const { gate, reporter, wait, left } = reporting();
    reporter.expect(plan);
    reporter.enter('training');
    reporter.at(0);
    wait(4);
    reporter.at(0.2);
    assert.equal(left(), 16 + 20);
    gate.close();
    wait(3600);
    gate.open();
    wait(4);
    reporter.at(0.4);
    assert.equal(left(), 12 + 20);
  });

  it('takes up a phase in its middle', () => {
    const { reporter, wait, left } = reporting();
    reporter.expect(plan);
    reporter.enter('training');
    reporter.at(0.5);
    assert.equal(left(), 20 + 20);
    wait(10);
    reporter.at(0.75);
    assert.equal(left(), 10 + 20);
  });
});
