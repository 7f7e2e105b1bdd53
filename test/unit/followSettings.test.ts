// What happens when a setting is changed while the engine is in use; VS Code is a fake.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { fakeVscode } from './fakes/vscode.ts';
import { set } from './fakes/vscodeParts.ts';

/** What is used of it here: the module needs VS Code's types. */
interface FollowModule {
  readonly followSettings: (followers: object) => { dispose(): void };
}

fakeVscode();

it('each setting that the engine was started with is followed at once', async () => {
  const path: string = new URL('../../src/editor/followSettings.ts', import.meta.url).href;
  const { followSettings } = (await import(path)) as FollowModule;
  const done: string[] = [];
  const note = (what: string) => () => {
    done.push(what);
    return Promise.resolve();
  };
  const engine = { reload: note('reload'), renew: note('renew') };
  const layerMaps = { reload: note('layer maps') };
  const followed = followSettings({ engine, layerMaps, librariesChosen: note('libraries') });
  const expected = {
    precision: ['reload'],
    threads: ['layer maps', 'reload'],
    'model.path': ['layer maps', 'reload'],
    'sae.path': ['reload'],
    device: ['renew'],
    'cuda.libraries': ['libraries'],
    sparsity: [],
  };
  for (const [name, what] of Object.entries(expected)) {
    set(`loupe.${name}`, 'other');
    assert.deepEqual(done.splice(0), what, name);
  }
  followed.dispose();
  set('loupe.precision', 'float16');
  assert.deepEqual(done, []);
});
