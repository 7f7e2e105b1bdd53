import { DisposableStore } from '../common/disposable.ts';
import type { Engine } from './engine/engine.ts';
import { onDidChangeSettings } from './settings.ts';

/** What follows the settings that it was started with. */
export interface Followers {
  readonly engine: Pick<Engine, 'reload' | 'renew'>;
  readonly layerMaps: { reload(): void };
  /** Other CUDA libraries were named, or none any more. */
  readonly librariesChosen: () => void;
}

/** Has what is loaded follow the settings: at once, where the engine is in use. */
export function followSettings({ engine, layerMaps, librariesChosen }: Followers): DisposableStore {
  const owned = new DisposableStore();
  for (const followed of [
    onDidChangeSettings(['model.path', 'threads'], () => layerMaps.reload()),
    onDidChangeSettings(['model.path', 'sae.path', 'threads', 'precision'], () => engine.reload()),
    // A process of its own for the device: another runtime may be needed, and what failed before may be tried again.
    onDidChangeSettings(['device'], () => void engine.renew()),
    onDidChangeSettings(['cuda.libraries'], librariesChosen),
  ])
    owned.register(followed);
  return owned;
}
