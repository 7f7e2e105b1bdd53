import type { DeviceState } from '../../contracts/devices.ts';

/** Tells whoever watches what the model runs on, and again whenever that has changed. */
export class DeviceWatch {
  private readonly watchers = new Set<() => void>();
  private readonly state: () => DeviceState | undefined;

  /** `state` is asked for each report; undefined where no model is loaded, of which nothing is told. */
  constructor(state: () => DeviceState | undefined) {
    this.state = state;
  }

  /** To be called when anything of the state may have changed. */
  changed(): void {
    for (const tell of this.watchers) tell();
  }

  /** Settles when the signal aborts. */
  watch(signal: AbortSignal, report: (state: DeviceState) => void): Promise<null> {
    const tell = (): void => {
      const state = this.state();
      if (state) report(state);
    };
    this.watchers.add(tell);
    tell();
    return new Promise(resolve => {
      const end = (): void => {
        this.watchers.delete(tell);
        resolve(null);
      };
      if (signal.aborted) end();
      else signal.addEventListener('abort', end, { once: true });
    });
  }
}
