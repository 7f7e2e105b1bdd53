import type { Failure } from '../../common/failure.ts';
import { deviceNames, type DeviceState, type Placement } from '../../contracts/devices.ts';
import type { Device, DeviceChoice } from '../../contracts/engine.ts';
import {
  forgetDevice,
  probeDevice,
  recordFailure,
  type Probe,
  type ProbeOptions,
} from './deviceProbe.ts';
import { devicesToTry, obstacle } from './machineDevices.ts';
import type { SessionOptions } from '../sessions/session.ts';

export interface DeviceOptions extends ProbeOptions {
  /** Hears, in one sentence, why a device is not used, or no longer. */
  readonly warn?: ((message: string) => void) | undefined;
  /** One sentence: why the CPU is to take the place of the device that is asked for. */
  readonly instead?: string | undefined;
  /** What 'auto' tries; the machine's devices unless given. */
  readonly devices?: readonly Device[];
}

/** How many times as long as the CPU a device that nobody asked for may take for the small run. */
const slowest = 1;

/** How long its test run may take: a driver that hangs is not to hold up every first load for a minute. */
const milliseconds = 30_000;

/** What a model and its SAEs run on: the device that was chosen, until it fails. */
export class DeviceInUse {
  private current: Device = 'cpu';
  private reasons: readonly string[] = [];
  private placement: Placement | undefined;
  private failed = false;
  private half = false;
  private readonly options: DeviceOptions;

  private constructor(options: DeviceOptions) {
    this.options = options;
  }

  /**
   * Of 'auto', the first device of this machine whose test run, in a process of its own, succeeds and is no slower than the
   * CPU's; another one where its test run succeeds. The CPU otherwise, and the reasons are told.
   */
  static async choose(asked: DeviceChoice, options: DeviceOptions = {}): Promise<DeviceInUse> {
    const use = new DeviceInUse(options);
    if (asked !== 'cpu' && options.instead !== undefined) use.tell(options.instead);
    else if (asked === 'auto')
      await use.takeFirst(options.devices ?? devicesToTry(), { slowest, milliseconds });
    else if (asked !== 'cpu') await use.takeFirst([asked], { again: true });
    return use;
  }

  get device(): Device {
    return this.current;
  }

  /** Whether the device has arithmetic of float16; the CPU has none. */
  get float16(): boolean {
    return this.half;
  }

  /** What to say of it. */
  get told(): { readonly device: string; readonly deviceNote?: string } {
    const { note } = this.state;
    return { device: deviceNames[this.current], ...(note !== undefined && { deviceNote: note }) };
  }

  /** The same for programs. */
  get state(): Pick<DeviceState, 'device' | 'failed' | 'note'> {
    const { current, failed, placement } = this;
    const notes = [...this.reasons, ...(placement ? [placementText(current, placement)] : [])];
    return {
      device: current,
      ...(failed && { failed }),
      ...(notes.length > 0 && { note: notes.join(' ') }),
    };
  }

  /** How sessions are opened on it. */
  get sessionOptions(): Pick<SessionOptions, 'device' | 'deviceFailed'> {
    const { current } = this;
    if (current === 'cpu') return { device: current };
    return { device: current, deviceFailed: why => this.leave(current, why) };
  }

  private async takeFirst(devices: readonly Device[], limits: ProbeOptions): Promise<void> {
    for (const device of devices) {
      const probe = await this.probe(device, limits);
      if (probe.works) {
        this.current = device;
        this.placement = probe.placement;
        this.half = probe.float16;
        if (probe.placement) this.options.warn?.(placementText(device, probe.placement));
        return;
      }
      this.tell(`${deviceNames[device]} is not used: ${probe.reason}.`);
    }
  }

  private async probe(device: Device, limits: ProbeOptions): Promise<Probe> {
    const reason = this.options.program === undefined ? obstacle(device) : undefined;
    if (reason !== undefined) return { works: false, reason };
    return await probeDevice(device, { ...limits, ...this.options });
  }

  private leave(device: Device, why: Failure): void {
    this.current = 'cpu';
    this.half = false;
    // The first reason; the other sessions follow it.
    if (this.failed) return;
    this.failed = true;
    this.placement = undefined;
    const end = endOf(why);
    // Drivers end some sentences with a stop, and some not.
    const reason = why.message.trimEnd().replace(/\.?$/, '.');
    this.tell(`${deviceNames[device]} ${end}, and the CPU goes on: ${reason}`);
    // A model that is too large for it says nothing of other models.
    if (why.code === 'out-of-memory') forgetDevice(device, this.options);
    else recordFailure(device, this.options, `it ${end} in an earlier run`);
  }

  private tell(sentence: string): void {
    this.reasons = [...this.reasons, sentence];
    this.options.warn?.(sentence);
  }
}

/** What has become of a device, as a predicate. */
function endOf({ code, message }: Failure): string {
  if (code === 'out-of-memory') return 'ran out of memory';
  return /\blost\b|device removed|reset/i.test(message) ? 'was lost' : 'failed';
}

/** One sentence: what of a device's test run was the CPU's. */
export function placementText(device: Device, { operators, onCpu, kinds }: Placement): string {
  return `On ${deviceNames[device]}, ${onCpu} of ${operators} operators of the test run were the CPU's: ${kinds.join(', ')}.`;
}
