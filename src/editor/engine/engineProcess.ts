import { fork, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import * as vscode from 'vscode';
import { Failure } from '../../common/failure.ts';
import type { Contract } from '../../contracts/call.ts';
import { engineProtocol, type DeviceChoice, type EngineContract } from '../../contracts/engine.ts';
import { createCaller, type Caller } from '../../messages/calls.ts';
import { connectChild } from '../../messages/childProcess.ts';

const handshakeMilliseconds = 30_000;

/** What the program answers to in every role. */
type Hello = Pick<EngineContract, 'hello'>;

/** What the forked program is to be: the engine that analyses, or the trainer. */
export interface Role {
  /** As in "the engine stopped". */
  readonly name: string;
  readonly arguments: readonly string[];
}

export const engineRole: Role = { name: 'engine', arguments: [] };
export const trainerRole: Role = { name: 'trainer', arguments: ['--role=trainer'] };

/** What is forked, and what it is to know besides the environment of this process. */
export interface EngineProgram {
  readonly path: string;
  /** Asked anew for each process, with the device that it is to run on; without one it is the settings'. */
  readonly environment: (device?: DeviceChoice) => Readonly<Record<string, string>>;
}

/** One forked engine program in the role that answers to C, from its start to its end. */
export class EngineProcess<C extends Contract<C>> implements vscode.Disposable {
  /** How it ended, if nobody asked it to: "signal SIGKILL", "exit code 3". */
  readonly onDidStop: vscode.Event<string>;
  readonly caller: Caller<C>;
  /** Settles with how the process ended, whether or not it was asked to. */
  readonly ended: Promise<string>;
  private readonly stopped = new vscode.EventEmitter<string>();
  private readonly child: ChildProcess;
  private readonly role: Role;
  private readonly greeter: Caller<Hello>;
  private ending = false;

  constructor(
    program: EngineProgram,
    role: Role,
    log: vscode.LogOutputChannel,
    device?: DeviceChoice,
  ) {
    this.role = role;
    this.onDidStop = this.stopped.event;
    this.child = fork(program.path, role.arguments, {
      execArgv: [],
      // In desktop VS Code, process.execPath is Electron.
      env: {
        ...process.env,
        ...program.environment(device),
        ...{ ELECTRON_RUN_AS_NODE: '1', NODE_OPTIONS: '' },
      },
      serialization: 'advanced',
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const connection = connectChild(this.child);
    this.caller = createCaller<C>(connection);
    this.greeter = createCaller<Hello>(connection);
    copyLines(this.child, role, log);
    this.ended = new Promise(resolve => {
      this.child.once('error', error => {
        this.end(error.message);
        resolve(error.message);
      });
      this.child.once('exit', (code, signal) => {
        const reason = signal === null ? `exit code ${String(code)}` : `signal ${signal}`;
        this.end(reason);
        resolve(reason);
      });
    });
  }

  /** Undefined where the process could not be started. */
  get pid(): number | undefined {
    return this.child.pid;
  }

  /** Makes sure that the process speaks this build's messages; rejects if it ends or stays silent. */
  async shakeHands(): Promise<void> {
    const late = AbortSignal.timeout(handshakeMilliseconds);
    const hello = this.greeter.call('hello', { protocol: engineProtocol }, { signal: late });
    const info = await hello.catch((error: unknown) => {
      throw late.aborted
        ? new Failure('internal', `The ${this.role.name} did not answer when started.`)
        : error;
    });
    if (info.protocol !== engineProtocol) {
      throw new Failure(
        'mismatch',
        `The ${this.role.name} speaks protocol ${info.protocol}, the extension ${engineProtocol}.`,
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

function copyLines(
  { stdout, stderr }: ChildProcess,
  { name }: Role,
  log: vscode.LogOutputChannel,
): void {
  if (stdout) createInterface(stdout).on('line', line => log.info(`${name}: ${line}`));
  if (stderr) createInterface(stderr).on('line', line => log.warn(`${name}: ${line}`));
}
