import type { Device, DeviceChoice } from '../contracts/engine.ts';
import { probeDevice, type ProbeOptions } from './deviceProbe.ts';
import type { SessionOptions } from './session.ts';

/** As people know them. */
export const deviceNames: Readonly<Record<Device, string>> = { cpu: 'CPU', webgpu: 'WebGPU' };

export interface DeviceOptions extends ProbeOptions {
  /** Hears, in one sentence, why the CPU takes another device's place. */
  readonly warn?: ((message: string) => void) | undefined;
}

/** What a model and its SAEs run on: the device that was chosen, until it fails. */
export class DeviceInUse {
  private current: Device;
  private reason: string | undefined;
  private readonly mayFail: boolean;
  private readonly options: DeviceOptions;

  private constructor(device: Device, mayFail: boolean, options: DeviceOptions) {
    this.current = device;
    this.mayFail = mayFail;
    this.options = options;
  }

  /** Of 'auto', WebGPU if a test run in a process of its own succeeds; anything else as it was asked for. */
  static async choose(asked: DeviceChoice, options: DeviceOptions = {}): Promise<DeviceInUse> {
    if (asked !== 'auto') return new DeviceInUse(asked, false, options);
    const device = new DeviceInUse('webgpu', true, options);
    const probe = await probeDevice('webgpu', options);
    if (!probe.works) device.leave(`WebGPU is not used: ${probe.reason}.`);
    return device;
  }

  get device(): Device {
    return this.current;
  }

  /** What to say of it. */
  get told(): { readonly device: string; readonly deviceNote?: string } {
    const { current, reason } = this;
    return { device: deviceNames[current], ...(reason !== undefined && { deviceNote: reason }) };
  }

  /** How sessions are opened on it. */
  get sessionOptions(): Pick<SessionOptions, 'device' | 'deviceFailed'> {
    if (!this.mayFail || this.current === 'cpu') return { device: this.current };
    const name = deviceNames[this.current];
    return {
      device: this.current,
      deviceFailed: why => this.leave(`${name} failed, and the CPU goes on: ${why.message}`),
    };
  }

  private leave(reason: string): void {
    this.current = 'cpu';
    // The first reason; the other sessions follow it.
    if (this.reason !== undefined) return;
    this.reason = reason;
    this.options.warn?.(reason);
  }
}
