// Runs the boost that the JSON file of the first argument asks for, with checkpoints after every so many seconds (the
// second); says each phase that it enters. To be killed.
import { readFile } from 'node:fs/promises';
import { Gate } from '../../src/common/gate.ts';
import type { BoostRequest } from '../../src/contracts/trainer.ts';
import { boost } from '../../src/engine/boost/boost.ts';

const [request = '', seconds] = process.argv.slice(2);
let phase = '';
await boost(JSON.parse(await readFile(request, 'utf8')) as BoostRequest, {
  signal: new AbortController().signal,
  gate: new Gate(),
  checkpointSeconds: Number(seconds),
  report: progress => {
    if (progress.phase !== phase) process.stdout.write(`${progress.phase}\n`);
    ({ phase } = progress);
  },
});
