// The engine process: forked by whoever wants it, ends with whoever forked it. Nothing is written to stdout; what
// nobody catches goes to stderr and ends the process with an exit code other than 0, as Node does by itself.
import { serve } from '../messages/calls.ts';
import { connectParent } from '../messages/childProcess.ts';
import type { EngineContract } from '../contracts/engine.ts';
import { Engine } from './engine.ts';

if (process.send) {
  const connection = connectParent();
  connection.onClose(() => process.exit(0));
  serve<EngineContract>(connection, new Engine().handlers);
} else {
  console.error(
    "This is Loupe's engine process: Loupe starts it. Try the command line instead: loupe --help",
  );
  process.exitCode = 2;
}
