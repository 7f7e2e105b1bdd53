import { RestartPolicy } from '../../common/restartPolicy.ts';
import { deviceNames } from '../../contracts/devices.ts';
import type { Device, DeviceChoice } from '../../contracts/engine.ts';

/** How the engine ended by itself, and whether it is being started again, or is when it is needed. */
export interface EngineStop {
  readonly reason: string;
  readonly restarting: boolean;
  /** One sentence: why it is started again without the device that it ran on. */
  readonly insteadOfDevice?: string;
}

/** What the engine that stopped ran on. */
export interface StoppedOn {
  /** Undefined where it ended before that was known. */
  readonly used: Device | undefined;
  /** What the settings name; undefined where it ended before they were read. */
  readonly asked: DeviceChoice | undefined;
}

/** Whether an engine that stopped is started again, and without which device. */
export class EngineRestarts {
  private policy = new RestartPolicy();
  private why: string | undefined;

  /** One sentence, where the CPU takes the place of the device that the settings name: why, until `forget`. */
  get insteadOfDevice(): string | undefined {
    return this.why;
  }

  /** Notes a stop at the time `now`, in milliseconds. */
  stopped(now: number, reason: string, on: StoppedOn): EngineStop {
    const where = this.why === undefined ? whereStopped(on, reason) : undefined;
    const restart = this.policy.stoppedOn(now, where);
    if (restart !== 'on the CPU') return { reason, restarting: restart !== 'no' };
    this.why = `The engine stopped twice ${where ?? ''} (${reason}), and the CPU goes on until the engine is restarted.`;
    return { reason, restarting: true, insteadOfDevice: this.why };
  }

  /** The next engine is the user's: it may use the device again. */
  forget(): void {
    this.policy = new RestartPolicy();
    this.why = undefined;
  }
}

/**
 * Undefined on the CPU. A driver may have ended it while the model was being loaded: on the device that was asked for. Of 'auto'
 * nobody knows which that was; a system that is out of memory kills, as drivers do not, and that may as well be on the CPU.
 */
function whereStopped({ used, asked = 'cpu' }: StoppedOn, reason: string): string | undefined {
  const device = used ?? asked;
  if (device === 'cpu') return undefined;
  if (device !== 'auto') return `on ${deviceNames[device]}`;
  return reason === 'signal SIGKILL' ? undefined : 'while it loaded the model';
}
