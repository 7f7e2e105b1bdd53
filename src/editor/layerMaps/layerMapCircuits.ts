import * as vscode from 'vscode';
import { Failure } from '../../common/failure.ts';
import type { CircuitsRequest, Route } from '../../contracts/layerMap.ts';
import type { LayerMapState } from '../../contracts/layerMapPanel.ts';
import type { LayerMapSource, ModelMap } from './layerMapModel.ts';
import { failureText } from '../presentFailure.ts';
import { setting } from '../settings.ts';
import { openPlace } from '../training/trainingPlaces.ts';
import { excludedFiles } from '../training/trainingRequest.ts';

/** Most tokens of the workspace that are run, and that are listed. */
const tokens = 32_768;
const count = 100;

/** The search for the tokens of the workspace on which a route matters most. */
export class CircuitSearch implements vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChange = this.changed.event;
  private readonly source: LayerMapSource;
  private readonly model: ModelMap;
  private work: LayerMapState['circuits'] = { kind: 'none' };
  private run = new AbortController();

  constructor(source: LayerMapSource, model: ModelMap) {
    this.source = source;
    this.model = model;
  }

  get state(): LayerMapState['circuits'] {
    return this.work;
  }

  async find(route: Route | null): Promise<void> {
    const { request } = this.model;
    if (!route || !request) return;
    this.run.abort();
    const { signal } = (this.run = new AbortController());
    const enter = (work: LayerMapState['circuits']): void => {
      if (!signal.aborted) this.enter(work);
    };
    try {
      enter({ kind: 'busy', step: 'Reading the workspace', fraction: null });
      const asked = { ...workspaceText(), model: request, route, tokens, count };
      const caller = await this.source.connect();
      const onProgress = (progress: { step: string; fraction: number }): void =>
        enter({ kind: 'busy', ...progress });
      const found = await caller.call('circuits', asked, { signal, onProgress });
      enter({ kind: 'ready', value: { route, found } });
    } catch (error) {
      enter({ kind: 'failed', message: failureText(Failure.from(error)) });
    }
  }

  cancel(): void {
    if (this.work.kind !== 'busy') return;
    this.run.abort();
    this.enter({ kind: 'none' });
  }

  /** Opens the file of a token that was found and selects it. */
  async open(index: number): Promise<void> {
    const found = this.work.kind === 'ready' ? this.work.value.found.found[index] : undefined;
    if (!found) return;
    const { path, start, before, text, after, verbatim } = found;
    if (!verbatim) {
      // Its text was taken out of markup: the offsets are not the file's.
      await vscode.commands.executeCommand('vscode.open', vscode.Uri.file(path));
      return;
    }
    await openPlace({ place: { path, start }, before, token: text, after }, 'the search');
  }

  dispose(): void {
    this.run.abort();
    this.changed.dispose();
  }

  private enter(work: LayerMapState['circuits']): void {
    this.work = work;
    this.changed.fire();
  }
}

/** The files of the workspace that trainings read too. */
export function workspaceText(): Pick<
  CircuitsRequest,
  'roots' | 'include' | 'exclude' | 'useGitIgnore'
> {
  const folders = vscode.workspace.workspaceFolders ?? [];
  if (folders.length === 0) {
    throw new Failure('not-found', 'No folder is open: there is no text to run.', {
      action: 'Open a folder first.',
    });
  }
  return {
    roots: folders.map(({ uri }) => uri.fsPath),
    include: setting('training.include'),
    exclude: [...new Set([...setting('training.exclude'), ...folders.flatMap(excludedFiles)])],
    useGitIgnore: setting('training.useGitIgnore'),
  };
}
