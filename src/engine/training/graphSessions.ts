import type { Device } from '../../contracts/engine.ts';
import { runsWhole } from '../../onnx/devices.ts';
import { openSession, type Session } from '../sessions/session.ts';

/** Sessions on one device, each opened when it is first asked for. */
export class GraphSessions {
  private readonly device: Device;
  private readonly threads: number;
  private open = new Map<string, Promise<Session>>();

  constructor(device: Device, threads: number) {
    this.device = device;
    // The CPU's ScatterND loses sums where several threads add to one row (onnxruntime 1.30).
    this.threads = runsWhole(device) ? threads : 1;
  }

  /** The session of that name; the outputs `left` stay on the device. */
  of(name: string, graph: () => Uint8Array, left: readonly string[] = []): Promise<Session> {
    const { device, threads } = this;
    const session = this.open.get(name) ?? openSession(graph(), { device, threads, left });
    this.open.set(name, session);
    return session;
  }

  /**
   * Closes all but those that `again` opens anew, and these last: what a device holds goes with its last session. Where
   * `again` fails, they stay as they were.
   */
  async renew(again: () => Promise<unknown>): Promise<void> {
    const before = this.open;
    this.open = new Map();
    try {
      await again();
    } catch (error) {
      await closed(this.open);
      this.open = before;
      throw error;
    }
    await closed(before);
  }

  async dispose(): Promise<void> {
    const { open } = this;
    this.open = new Map();
    await closed(open);
  }
}

/** What is left of sessions on a lost device may not even be let go of; why they are closed is the better failure. */
async function closed(sessions: ReadonlyMap<string, Promise<Session>>): Promise<void> {
  for (const opening of sessions.values()) {
    const session = await opening.catch(() => undefined);
    await session?.dispose().catch(() => undefined);
  }
}
