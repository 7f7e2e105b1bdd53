import { parse } from 'node:path';
import { Failure } from '../../common/failure.ts';
import { isOutOfMemory } from '../../common/outOfMemory.ts';
import type { Device } from '../../contracts/engine.ts';
import { executionProviders, keepsOutputs, runsWhole } from '../../onnx/devices.ts';
import { LeftTensors } from './leftTensors.ts';
import { env, InferenceSession, type InferenceOptions, type Tensor } from './runtime.ts';

/** Name and version of what runs the graphs. */
export const runtimeVersion = `onnxruntime-node ${env.versions.node ?? 'of unknown version'}`;

export interface SessionOptions {
  readonly threads: number;
  /** What runs the graph; the CPU unless given. A graph with a node that WebGPU cannot run is refused. */
  readonly device?: Device;
  /** Hears why the device failed; the CPU runs the graph from then on. Absent: the failure is thrown. */
  readonly deviceFailed?: ((why: Failure) => void) | undefined;
  /** Whether idle threads wait busily: faster runs, at the price of a busy processor between them. */
  readonly allowSpinning?: boolean;
  /** False: weights stay memory-mapped instead of being copied into the layout that the kernels like best. */
  readonly prepack?: boolean;
  /**
   * True: what follows from constants alone is computed with each run and then let go, so that 16-bit weights keep their
   * size. Measured on 1 GB of them: 0.2 GB allocated, with the arena that keeps what it once had 2.8, folded 2.4.
   */
  readonly keepConstants?: boolean;
  /** False: memory is not laid out ahead by what the first run needed; less of it, and slower by a little. */
  readonly memoryPattern?: boolean;
  /** Outputs that stay on the device, if it can keep them: the first of the graph. */
  readonly left?: readonly string[];
  /** How the names of files begin that tell what ran where and how long; see `Session.profile`. */
  readonly profileAt?: string;
}

/** What a device held went with it: whoever computed it does so again, on the CPU. */
export class LostWithDevice extends Failure {
  readonly isLost = true;

  constructor() {
    super('internal', 'Activations were lost with the device that held them.');
  }

  static override [Symbol.hasInstance](error: unknown): boolean {
    return error instanceof Failure && 'isLost' in error;
  }
}

/** More sessions than a model and its SAEs have at a time. */
const mostLosses = 16;

/**
 * Acts again where what a device held was lost with it: each loss has moved a session to the CPU. `before` says whether the
 * next attempt can do without.
 */
export async function despiteLosses<T>(act: () => Promise<T>, before: () => boolean): Promise<T> {
  for (let losses = 0; ; losses++) {
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof LostWithDevice) || losses === mostLosses || !before()) throw error;
    }
  }
}

/** What runs a graph in a device's place, should it fail. */
export interface InPlaceOfDevice {
  readonly open: () => Promise<InferenceSession>;
  readonly deviceFailed: (why: Failure) => void;
}

/** A loaded graph. Runs block the thread: only the engine's own processes may hold one. */
export class Session {
  private session: InferenceSession;
  private held: LeftTensors;
  private instead: InPlaceOfDevice | undefined;
  private isOnDevice: boolean;
  /** The move to what goes in the device's place, once one has begun: runs wait for it. */
  private moving: Promise<void> | undefined;
  private readonly left: readonly string[];
  private disposed = false;

  constructor(
    session: InferenceSession,
    instead?: InPlaceOfDevice,
    { isOnDevice = !!instead, left = [] }: { isOnDevice?: boolean; left?: readonly string[] } = {},
  ) {
    this.session = session;
    this.held = new LeftTensors(session);
    this.instead = instead;
    this.isOnDevice = isOnDevice;
    this.left = left;
  }

  /** Whether the graph has an input of that name. */
  takes(name: string): boolean {
    return this.session.inputNames.includes(name);
  }

  /** The outputs, or those that `fetches` names. Fails with `LostWithDevice` where feeds went with the device. */
  async run(
    feeds: Readonly<Record<string, Tensor>>,
    fetches: readonly string[] = this.session.outputNames,
  ): Promise<Readonly<Record<string, Tensor>>> {
    const { moving } = this;
    if (moving) await moving;
    this.requireLoaded();
    const reliesOnDevice = Object.values(feeds).some(({ location }) => location !== 'cpu');
    if (reliesOnDevice && !this.isOnDevice) throw new LostWithDevice();
    try {
      return await this.fetched(feeds, fetches);
    } catch (error) {
      // onnxruntime begins a run later than it is asked for, and may find that its session is gone.
      this.requireLoaded();
      const failure = runtimeFailure(error, 'The run failed');
      if (this.instead) this.moving = this.leaveDevice(this.instead, failure);
      // Another run may have left the device meanwhile, and let go of the session that this one was on.
      if (this.moving === moving) throw failure;
      await this.moving;
      if (reliesOnDevice) throw new LostWithDevice();
      return this.run(feeds, fetches);
    }
  }

  /** Writes what was noted of the runs to the file that `profileAt` begins. */
  profile(): void {
    this.session.endProfiling();
  }

  async dispose(): Promise<void> {
    if (this.disposed) return;
    this.disposed = true;
    // A move that failed has let go of the session, and opened none.
    const isThere = await (this.moving ?? Promise.resolve()).then(
      () => true,
      () => false,
    );
    if (isThere) await this.held.release();
  }

  private requireLoaded(): void {
    if (this.disposed) throw new Failure('stopped', 'The model was unloaded while it was in use.');
  }

  /**
   * Where an output stays goes, in onnxruntime-node 1.30, by its place among those that the run fetches: those that may
   * stay on the device, the graph's first, are fetched with every run.
   */
  private async fetched(feeds: Readonly<Record<string, Tensor>>, fetches: readonly string[]) {
    if (!this.isOnDevice || this.left.length === 0) return this.session.run(feeds, fetches);
    const outputs = await this.session.run(feeds, [...new Set([...this.left, ...fetches])]);
    for (const name of this.left) {
      const output = outputs[name];
      if (!output) continue;
      this.held.add(output);
      if (!fetches.includes(name)) output.dispose();
    }
    return outputs;
  }

  private async leaveDevice({ open, deviceFailed }: InPlaceOfDevice, why: Failure): Promise<void> {
    this.instead = undefined;
    this.isOnDevice = false;
    // What is left of a session on a lost device may not even be let go of.
    await this.held.release().catch(() => undefined);
    this.session = await open();
    this.held = new LeftTensors(this.session);
    // What the CPU cannot open either, as where a file of weights is gone, is no fault of the device.
    deviceFailed(why);
  }
}

/**
 * Makes a graph when a session of it is opened, for what opens it: the device, or the CPU in its place. Inputs and outputs are
 * the same for both.
 */
export type GraphMaker = (on: Device) => Uint8Array;

/**
 * Loads a graph whose external data lie at paths relative to the file system's root (`externalLocation`). One that comes as
 * bytes, with `deviceFailed`, is kept as long as the session.
 */
export async function openSession(
  graph: Uint8Array | GraphMaker,
  options: SessionOptions,
): Promise<Session> {
  const { device = 'cpu', deviceFailed } = options;
  const open = (on: Device) =>
    opened(typeof graph === 'function' ? graph(on) : graph, { ...options, device: on });
  // A graph that cannot be made is no failure of the device.
  const first = open(device);
  if (device === 'cpu') return new Session(await first);
  const instead = deviceFailed && { open: async () => open('cpu'), deviceFailed };
  try {
    return new Session(await first, instead, { isOnDevice: true, left: options.left ?? [] });
  } catch (error) {
    if (!deviceFailed) throw error;
    const session = new Session(await open('cpu'));
    // Now that the CPU could open it, the fault is the device's.
    deviceFailed(Failure.from(error));
    return session;
  }
}

async function opened(graph: Uint8Array, options: SessionOptions): Promise<InferenceSession> {
  try {
    return await InferenceSession.create(graph, inferenceOptions(options));
  } catch (error) {
    throw runtimeFailure(error, 'onnxruntime refused the graph');
  }
}

function inferenceOptions(options: SessionOptions): InferenceOptions {
  const { device = 'cpu' } = options;
  return {
    logSeverityLevel: 3,
    intraOpNumThreads: options.threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    ...(device !== 'cpu' && { executionProviders: [executionProviders[device]] }),
    ...(keepsOutputs(device) &&
      options.left && { preferredOutputLocation: leftOnDevice(options.left) }),
    ...(options.profileAt !== undefined && {
      enableProfiling: true,
      profileFilePrefix: options.profileAt,
    }),
    // DirectML cannot have its memory laid out ahead.
    enableMemPattern: options.memoryPattern !== false && device !== 'directml',
    enableCpuMemArena: options.keepConstants !== true,
    extra: {
      ...(options.keepConstants === true && {
        optimization: { disable_specified_optimizers: 'ConstantFolding' },
      }),
      session: {
        model_external_initializers_file_folder_path: parse(process.cwd()).root,
        intra_op: { allow_spinning: options.allowSpinning === false ? '0' : '1' },
        disable_prepacking: options.prepack === false ? '1' : '0',
        ...(runsWhole(device) && { disable_cpu_ep_fallback: '1' }),
      },
    },
  };
}

function leftOnDevice(names: readonly string[]): Record<string, 'gpu-buffer'> {
  return Object.fromEntries(names.map(name => [name, 'gpu-buffer']));
}

function runtimeFailure(error: unknown, what: string): Failure {
  const message = error instanceof Error ? error.message : String(error);
  const code = isOutOfMemory(message) ? 'out-of-memory' : 'internal';
  return new Failure(code, `${what}: ${message}`, { cause: error });
}
