import { fork, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import * as vscode from 'vscode';
import { Failure } from '../common/failure.ts';
import { engineProtocol, type EngineContract } from '../contracts/engine.ts';
import { createCaller, type Caller } from '../messages/calls.ts';
import { connectChild } from '../messages/childProcess.ts';

const handshakeMilliseconds = 30_000;

/** One forked engine, from its start to its end. */
export class EngineProcess implements vscode.Disposable {
  /** How it ended, if nobody asked it to: "signal SIGKILL", "exit code 3". */
  readonly onDidStop: vscode.Event<string>;
  readonly caller: Caller<EngineContract>;
  /** Settles when the process has ended, for whatever reason. */
  readonly ended: Promise<void>;
  private readonly stopped = new vscode.EventEmitter<string>();
  private readonly child: ChildProcess;
  private ending = false;

  constructor(program: string, log: vscode.LogOutputChannel) {
    this.onDidStop = this.stopped.event;
    this.child = fork(program, [], {
      execArgv: [],
      // In desktop VS Code, process.execPath is Electron.
      env: { ...process.env, ELECTRON_RUN_AS_NODE: '1', NODE_OPTIONS: '' },
      serialization: 'advanced',
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.caller = createCaller<EngineContract>(connectChild(this.child));
    copyLines(this.child, log);
    this.ended = new Promise(resolve => {
      this.child.once('error', error => {
        this.end(error.message);
        resolve();
      });
      this.child.once('exit', (code, signal) => {
        this.end(signal === null ? `exit code ${String(code)}` : `signal ${signal}`);
        resolve();
      });
    });
  }

  /** Makes sure that the process speaks this build's messages; rejects if it ends or stays silent. */
  async shakeHands(): Promise<void> {
    const late = AbortSignal.timeout(handshakeMilliseconds);
    const hello = this.caller.call('hello', { protocol: engineProtocol }, { signal: late });
    const info = await hello.catch((error: unknown) => {
      throw late.aborted
        ? new Failure('internal', 'The engine did not answer when started.')
        : error;
    });
    if (info.protocol !== engineProtocol) {
      throw new Failure(
        'mismatch',
        `The engine speaks protocol ${info.protocol}, the extension ${engineProtocol}.`,
        { action: 'Reload the window: Loupe was updated meanwhile.' },
      );
    }
  }

  dispose(): void {
    this.ending = true;
    this.child.kill('SIGKILL');
    this.stopped.dispose();
  }

  private end(reason: string): void {
    if (this.ending) return;
    this.ending = true;
    this.stopped.fire(reason);
  }
}

function copyLines({ stdout, stderr }: ChildProcess, log: vscode.LogOutputChannel): void {
  if (stdout) createInterface(stdout).on('line', line => log.info(`engine: ${line}`));
  if (stderr) createInterface(stderr).on('line', line => log.warn(`engine: ${line}`));
}
