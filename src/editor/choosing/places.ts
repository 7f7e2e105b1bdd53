import { basename, join } from 'node:path';
import * as vscode from 'vscode';
import { formatBytes } from '../../common/numbers.ts';
import type { FoundIn, FoundThing } from '../../contracts/foundThing.ts';
import { findOnDisk } from '../../hub/findOnDisk.ts';
import { HubClient } from '../../hub/hubClient.ts';
import { hubSettings } from '../../hub/hubSettings.ts';
import type { ChooseTargets } from '../chooseFiles.ts';
import { absolute } from '../selection.ts';
import { setting } from '../settings.ts';
import type { Line, Section } from './pickList.ts';

/** Where things were found, as headings, in the order of the lists. */
const headings: readonly (readonly [FoundIn, string])[] = [
  ['workspace', 'In the workspace'],
  ['downloads', 'Downloaded'],
  ['huggingFace', 'Hugging Face cache'],
  ['ollama', 'Ollama'],
  ['lmStudio', 'LM Studio'],
];

/** The folder that Loupe downloads to. */
export function downloadFolder({ context }: ChooseTargets): string {
  return absolute(setting('hub.folder')) ?? join(context.globalStorageUri.fsPath, 'hub');
}

/** The Hub that the settings name. */
export async function hubOf(): Promise<HubClient> {
  return new HubClient(await hubSettings(process.env, setting('hub.endpoint')));
}

/** The models or SAEs on this machine; of the workspace only where it is trusted. */
export async function foundOnDisk(
  targets: ChooseTargets,
  kind: FoundThing['kind'],
  signal: AbortSignal,
): Promise<readonly FoundThing[]> {
  const { isTrusted, workspaceFolders = [] } = vscode.workspace;
  const open = workspaceFolders.filter(({ uri }) => uri.scheme === 'file');
  const folders = isTrusted ? open.map(({ uri }) => uri.fsPath) : [];
  const places = { environment: process.env, downloads: downloadFolder(targets), folders };
  return (await findOnDisk(places, signal)).filter(thing => thing.kind === kind);
}

/** The lines by where their things were found. */
export function byPlace<T>(
  lines: readonly { readonly thing: FoundThing; readonly line: Line<T> }[],
): Section<T>[] {
  return headings.map(([place, title]) => ({
    title,
    lines: lines.flatMap(({ thing, line }) => (thing.foundIn === place ? [line] : [])),
  }));
}

/** What a list says of a thing before anybody has looked into it. */
export function lineOf<T>(thing: FoundThing, value: T): Line<T> {
  const { name, bytes, path, obstacle } = thing;
  const line = { label: nameOf(name), description: formatBytes(bytes), detail: path };
  return obstacle === undefined ? { ...line, value } : refused(line, obstacle);
}

/** The line of something that cannot be used, and why. */
export function refused<T>(line: Line<T>, why: string): Line<T> {
  const { label, description = '' } = line;
  return { label, description, detail: `$(warning) ${why}`, refusal: `${label}: ${why}` };
}

/** The end of a long path says most. */
function nameOf(name: string): string {
  return name.length <= 70 ? name : `…${name.slice(-69)}`;
}

/** The line of what the setting names at present, if it names anything. */
export function inUse<T>(path: string, value: T): Section<T> {
  const line = { label: basename(path), description: 'in use', detail: path, value };
  return { title: 'In use', lines: path === '' ? [] : [line] };
}
