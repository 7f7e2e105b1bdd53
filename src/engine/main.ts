// The engine process, with --role=trainer the trainer's, with --role=probe a device's test run: forked by whoever wants it, ends with whoever forked it.
// Nothing is written to stdout; what nobody catches goes to stderr and ends the process with an exit code other than 0,
// as Node does by itself.
import type { EngineContract } from '../contracts/engine.ts';
import type { TrainerContract } from '../contracts/trainer.ts';
import { serve } from '../messages/calls.ts';
import { connectParent } from '../messages/childProcess.ts';
import { Engine } from './engine.ts';
import { answerProbe, probedDevice, probedThreads } from './devices/probeRole.ts';
import { openTrainer } from './training/trainerRole.ts';

if (process.argv.includes('--role=probe')) {
  await answerProbe(probedDevice(process.argv), probedThreads(process.argv));
} else if (process.send) {
  const connection = connectParent();
  connection.onClose(() => process.exit(0));
  if (process.argv.includes('--role=trainer')) serve<TrainerContract>(connection, openTrainer());
  else serve<EngineContract>(connection, new Engine().handlers);
} else {
  console.error(
    "This is Loupe's engine process: Loupe starts it. Try the command line instead: loupe --help",
  );
  process.exitCode = 2;
}
