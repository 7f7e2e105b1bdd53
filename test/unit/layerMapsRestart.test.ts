// Layer maps when the engine is ended as another is asked for; VS Code is a fake.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { fakeVscode } from './fakes/vscode.ts';
import { EventEmitter } from './fakes/vscodeParts.ts';

/** What is used of it here: the module needs VS Code's types. */
interface LayerMapsModule {
  readonly LayerMaps: new (
    source: object,
    active: object,
    tints: object,
  ) => {
    readonly state: { readonly map: { readonly kind: string } };
    open(): void;
    watch(on: boolean): void;
    engineRestarted(): void;
    dispose(): void;
  };
}

fakeVscode();

it('what the old engine was reading, and the document, are read by the new one', async () => {
  const path: string = new URL('../../src/editor/layerMaps/layerMaps.ts', import.meta.url).href;
  const { LayerMaps } = (await import(path)) as LayerMapsModule;
  const asked: string[] = [];
  let answer = false;
  const call = (method: string): Promise<unknown> => {
    const isToken = method === 'tokenRoutes';
    if (!isToken) asked.push(method);
    if (!answer || isToken) return new Promise(() => undefined);
    const routes = { starts: [0], isPart: false };
    return Promise.resolve(method === 'documentRoutes' ? routes : { layers: 0 });
  };
  const uri = { scheme: 'file', path: '/a.txt' };
  const document = { uri, version: 1, getText: () => 'text', offsetAt: () => 0 };
  const active = { current: document, onDidChange: new EventEmitter<void>().event };
  const source = {
    connect: () => Promise.resolve({ call }),
    model: () => ({ path: '/model.gguf' }),
    routers: () => Promise.resolve([]),
  };
  const maps = new LayerMaps(source, active, { show: () => undefined });
  const rest = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 5));
  maps.engineRestarted();
  await rest();
  assert.deepEqual(asked.splice(0), [], 'nobody looks');
  maps.open();
  maps.watch(true);
  await rest();
  assert.deepEqual(asked.splice(0), ['layerMap'], 'which is not answered');
  answer = true;
  maps.engineRestarted();
  await rest();
  assert.equal(maps.state.map.kind, 'ready');
  assert.deepEqual(asked.splice(0), ['layerMap', 'documentRoutes']);
  maps.engineRestarted();
  await rest();
  assert.deepEqual(asked.splice(0), ['forgetRoutes', 'documentRoutes'], 'the maps are known');
  maps.dispose();
});
