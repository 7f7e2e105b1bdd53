// Trains the toy with a checkpoint at each step; once step 20 is taken, says so and waits inside step 21 to be killed.
import { Trainer } from '../../../src/training/trainer.ts';
import { openPlainBackend } from './plainBackend.ts';
import { ToyActivations, toySettings } from './toy.ts';

const trainer = await Trainer.open({
  settings: toySettings,
  source: new ToyActivations(),
  folder: process.argv[2] ?? '',
  openBackend: openPlainBackend,
});
await trainer.run({
  checkpointSeconds: -1,
  report: ({ step }) => {
    if (step !== 21) return;
    process.stdout.write('step 21\n');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  },
});
