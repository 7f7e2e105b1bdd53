import * as vscode from 'vscode';
import { DisposableStore } from '../../common/disposable.ts';
import { Failure } from '../../common/failure.ts';
import type {
  LayerMapCommand,
  LayerMapHost,
  LayerMapState,
  LayerMapView,
} from '../../contracts/layerMapPanel.ts';
import type { Handlers } from '../../messages/calls.ts';
import { SinglePanel } from '../panels/singlePanel.ts';
import type { LayerMaps } from './layerMaps.ts';
import { presentFailure } from '../presentFailure.ts';

/** Milliseconds that changes are gathered for. */
const interval = 16;

/** The panel of layer maps. */
export class LayerMapPanel implements vscode.Disposable {
  private readonly owned = new DisposableStore();
  private readonly maps: LayerMaps;
  private readonly single: SinglePanel<LayerMapHost, LayerMapView>;
  /** What the page has: only parts that changed are sent. */
  private sent: LayerMapState | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(extension: vscode.Uri, maps: LayerMaps) {
    this.maps = maps;
    this.single = this.owned.register(
      new SinglePanel<LayerMapHost, LayerMapView>(extension, {
        ...{ type: 'loupe.layerMap', title: 'Layer Maps', page: 'layerMap' },
        handlers: this.handlers,
        onOpen: panel => this.opened(panel),
        onClose: () => {
          this.sent = undefined;
          maps.close();
        },
      }),
    );
    this.owned.register(maps.onDidChange(() => this.schedule()));
    this.owned.register({ dispose: () => clearTimeout(this.timer) });
  }

  show(): void {
    this.single.show();
  }

  dispose(): void {
    this.owned.dispose();
  }

  private opened(panel: vscode.WebviewPanel): void {
    panel.onDidChangeViewState(() => {
      if (panel.visible) act(() => this.maps.model.refreshRouters());
    });
    this.maps.open();
  }

  private readonly handlers: Handlers<LayerMapHost> = {
    ready: () => (this.sent = this.maps.state),
    watchDocument: ({ on }) => act(() => this.maps.watch(on)),
    retry: ({ part }) => act(() => this.maps.retry(part)),
    chooseRouters: ({ path }) => act(() => this.maps.model.choose(path)),
    run: ({ command }) => act(() => runCommand(command)),
    selectRoute: ({ route }) => act(() => this.maps.select(route)),
    setTint: ({ on }) => act(() => this.maps.setTint(on)),
    moveToken: ({ token }) => act(() => this.maps.token.move(token)),
    findCircuits: () => act(() => this.maps.findCircuits()),
    cancelCircuits: () => act(() => this.maps.circuits.cancel()),
    openCircuit: ({ index }) => act(() => this.maps.circuits.open(index)),
    measureCollapse: ({ words, text }) => act(() => this.maps.collapse.measure(words, text)),
    cancelCollapse: () => act(() => this.maps.collapse.cancel()),
    compareCollapse: ({ with: other }) => act(() => this.maps.collapse.compare(other)),
    copyText: ({ text }) => act(() => vscode.env.clipboard.writeText(text)),
    saveImage: ({ name, png }) => act(() => saveImage(name, png)),
  };

  private schedule(): void {
    if (!this.single.panel) return;
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      const { sent } = this;
      const { page } = this.single;
      if (!sent || !page) return; // the page asks for the state when it is ready
      const state = (this.sent = this.maps.state);
      // A page that goes away meanwhile asks for the state when it comes back.
      page.call('show', changesOf(sent, state)).catch(() => undefined);
    }, interval);
  }
}

/** `loupe.showLayerMap`; with the folder of fitted routers it shows those. */
export function registerLayerMapCommand(maps: LayerMaps, panel: LayerMapPanel): vscode.Disposable {
  return vscode.commands.registerCommand('loupe.showLayerMap', async (routers?: unknown) => {
    panel.show();
    if (typeof routers === 'string') await maps.model.choose(routers);
  });
}

function changesOf(before: LayerMapState, after: LayerMapState): Partial<LayerMapState> {
  const parts = Object.keys(after) as (keyof LayerMapState)[];
  const changed = parts.filter(part => before[part] !== after[part]);
  return Object.fromEntries(changed.map(part => [part, after[part]]));
}

async function runCommand(command: LayerMapCommand): Promise<void> {
  if (!commands.has(command)) return;
  await vscode.commands.executeCommand(`loupe.${command}`);
}

const commands: ReadonlySet<LayerMapCommand> = new Set(['fitRouters', 'chooseModel', 'showLog']);

async function saveImage(name: string, png: Uint8Array): Promise<void> {
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
  const uri = await vscode.window.showSaveDialog({
    title: 'Save the figure',
    filters: { Images: ['png'] },
    ...(folder ? { defaultUri: vscode.Uri.joinPath(folder, name) } : {}),
  });
  if (uri) await vscode.workspace.fs.writeFile(uri, png);
}

/** Does what the page asked for without letting it wait; what goes wrong is told in the editor's own way. */
function act(action: () => unknown): null {
  void (async () => {
    try {
      await action();
    } catch (error) {
      presentFailure(Failure.from(error), 'document');
    }
  })();
  return null;
}
