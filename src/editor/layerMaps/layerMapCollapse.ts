import { basename } from 'node:path';
import * as vscode from 'vscode';
import { Failure } from '../../common/failure.ts';
import type { CollapseRequest, CollapseText } from '../../contracts/collapse.ts';
import type { ModelRequest } from '../../contracts/engine.ts';
import type { CollapseState, NamedCollapse } from '../../contracts/layerMapPanel.ts';
import type { ActiveDocument } from '../document/activeDocument.ts';
import { modelDialog } from '../chooseFiles.ts';
import { workspaceText } from './layerMapCircuits.ts';
import type { LayerMapSource, ModelMap } from './layerMapModel.ts';
import { failureText } from '../presentFailure.ts';

/** How it is measured; alpha and seed are those of LIMe's authors. */
const settings = {
  tokens: 20_000,
  alpha: 0.5,
  samples: 16,
  projected: 6,
  points: 200,
  seed: 42,
} as const satisfies Partial<CollapseRequest>;

interface Compared {
  readonly name: string;
  readonly model: ModelRequest;
}

/** Whether the layers of the shown model, and of another one, tell tokens apart on the user's text. */
export class CollapseMeasurement implements vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChange = this.changed.event;
  private readonly source: LayerMapSource;
  private readonly model: ModelMap;
  private readonly active: ActiveDocument;
  private current: CollapseState = { against: null, work: { kind: 'none' } };
  /** The file of the model to compare with. */
  private file: string | undefined;
  private run = new AbortController();

  constructor(source: LayerMapSource, model: ModelMap, active: ActiveDocument) {
    this.source = source;
    this.model = model;
    this.active = active;
  }

  get state(): CollapseState {
    return this.current;
  }

  async compare(kind: 'none' | 'unfitted' | 'file'): Promise<void> {
    if (kind === 'file') {
      const [uri] = (await vscode.window.showOpenDialog(modelDialog)) ?? [];
      if (uri) this.file = uri.fsPath;
      // Said again where none was chosen, so that the page shows what holds.
      this.enter(uri ? { against: { kind, name: modelName(uri.fsPath) } } : {});
      return;
    }
    this.enter({ against: kind === 'none' ? null : { kind, name: 'without routers' } });
  }

  async measure(words: readonly string[], text: 'document' | 'workspace'): Promise<void> {
    const { request } = this.model;
    if (!request) return;
    this.run.abort();
    const { signal } = (this.run = new AbortController());
    const enter = (work: CollapseState['work']): void => {
      if (!signal.aborted) this.enter({ work });
    };
    try {
      enter({ kind: 'busy', step: 'Starting the engine', fraction: null });
      const read = this.read(text);
      const caller = await this.source.connect();
      const models: NamedCollapse[] = [];
      const compared = this.compared(request);
      for (const { name, model } of compared) {
        const which = compared.length > 1 ? `${name}: ` : '';
        const asked = { ...settings, model, text: read.text, words };
        const onProgress = (progress: { step: string; fraction: number }): void =>
          enter({ kind: 'busy', ...progress, step: `${which}${progress.step}` });
        models.push({ name, result: await caller.call('collapse', asked, { signal, onProgress }) });
      }
      enter({ kind: 'ready', value: { text: read.name, models } });
    } catch (error) {
      enter({ kind: 'failed', message: failureText(Failure.from(error)) });
    }
  }

  cancel(): void {
    if (this.current.work.kind !== 'busy') return;
    this.run.abort();
    this.enter({ work: { kind: 'none' } });
  }

  dispose(): void {
    this.run.abort();
    this.changed.dispose();
  }

  private compared(request: ModelRequest): readonly Compared[] {
    const { against } = this.current;
    const { state } = this.model;
    const shown = state.kind === 'ready' ? state.value.model : modelName(request.path);
    const { routers, ...unfitted } = request;
    const own = { name: routers === undefined ? shown : `${shown} with routers`, model: request };
    if (against?.kind === 'file' && this.file !== undefined) {
      return [own, { name: against.name, model: { ...unfitted, path: this.file } }];
    }
    if (against?.kind === 'unfitted' && routers !== undefined) {
      return [own, { name: `${shown} without routers`, model: unfitted }];
    }
    return [own];
  }

  private read(from: 'document' | 'workspace'): { name: string; text: CollapseText } {
    if (from === 'workspace') {
      return { name: 'the workspace', text: { kind: 'files', ...workspaceText() } };
    }
    const document = this.active.current;
    if (!document) {
      throw new Failure('not-found', 'No document is open: there is no text to run.', {
        action: 'Open a text file first, or choose the workspace.',
      });
    }
    return {
      name: basename(document.uri.path),
      text: { kind: 'document', text: document.getText() },
    };
  }

  private enter(change: Partial<CollapseState>): void {
    this.current = { ...this.current, ...change };
    this.changed.fire();
  }
}

/** A file's name, or its folder's where every model's file has the same one. */
function modelName(path: string): string {
  const parts = path.split(/[/\\]/);
  return (path.endsWith('.safetensors') ? parts.at(-2) : parts.at(-1)) ?? path;
}
