import * as vscode from 'vscode';
import { Failure } from '../../common/failure.ts';
import { formatBytes, formatCount } from '../../common/numbers.ts';
import type { FoundThing } from '../../contracts/foundThing.ts';
import type { ModelFacts } from '../../contracts/lookAt.ts';
import type { Unfinished } from '../../hub/unfinished.ts';
import { modelDialog, type ChooseTargets } from '../chooseFiles.ts';
import { setting } from '../settings.ts';
import { chooseFromHub, goOn, unfinishedOf, unfinishedSection } from './hubSearch.ts';
import { pickFrom, type OpenList, type Section } from './pickList.ts';
import { byPlace, foundOnDisk, inUse, lineOf, refused } from './places.ts';
import { useModel } from './useModel.ts';

/** What a line of the list stands for. */
type Choice = { readonly path: string } | { readonly unfinished: Unfinished } | 'search' | 'browse';

/** Models that are looked into for the list; the others show their names and sizes. */
const mostLookedAt = 100;

/** Lets the user pick a model from this machine or the Hub, and makes it the one in use. */
export async function chooseModel(targets: ChooseTargets): Promise<void> {
  const choice = await pickFrom<Choice>({
    title: 'Loupe: Choose Model',
    placeholder: 'The model that reads your documents',
    fill: (list, signal) => fill(targets, list, signal),
  });
  const path = choice === undefined ? undefined : await pathOf(targets, choice);
  if (path !== undefined) await useModel(targets, path);
}

async function pathOf(targets: ChooseTargets, choice: Choice): Promise<string | undefined> {
  if (choice === 'search') return await chooseFromHub(targets, 'model');
  if (choice === 'browse') {
    const options = { ...modelDialog, title: 'Loupe: Choose Model' };
    const [file] = (await vscode.window.showOpenDialog(options)) ?? [];
    return file?.fsPath;
  }
  return 'path' in choice ? choice.path : await goOn(targets, choice.unfinished);
}

async function fill(
  targets: ChooseTargets,
  list: OpenList<Choice>,
  signal: AbortSignal,
): Promise<void> {
  const present = setting('model.path');
  // What is found comes below what is known at once: nothing moves under the mouse.
  const atOnce: Section<Choice>[] = [
    inUse(present, { path: present }),
    embedded(present),
    {
      title: 'Elsewhere',
      lines: [
        { label: '$(cloud) Search the Hub…', value: 'search' },
        { label: '$(folder-opened) Choose a GGUF or safetensors file…', value: 'browse' },
      ],
    },
  ];
  list.show(atOnce);
  const [found, unfinished] = await Promise.all([
    foundOnDisk(targets, 'model', signal),
    unfinishedOf(targets, 'model', signal),
  ]);
  const lines = found.map(thing => ({ thing, line: lineOf<Choice>(thing, { path: thing.path }) }));
  const show = (): void => list.show([...atOnce, unfinishedSection(unfinished), ...byPlace(lines)]);
  show();
  // An engine that does not start takes nothing off the list: another model may be the way out.
  const caller = await targets.engine.connect().catch(() => undefined);
  if (!caller) return;
  for (const entry of lines.slice(0, mostLookedAt)) {
    if (signal.aborted) return;
    const { thing } = entry;
    if (thing.obstacle !== undefined) continue;
    try {
      const facts = await caller.call('describeModel', { path: thing.path }, { signal });
      entry.line = { ...entry.line, description: factsText(facts, thing) };
    } catch (error) {
      entry.line = refused(entry.line, reasonOf(error, thing));
    }
    show();
  }
}

function embedded(present: string): Section<Choice> {
  const label = 'SmolLM2-135M-Instruct';
  const description = present === '' ? 'embedded · in use' : 'embedded';
  return { title: 'Comes with Loupe', lines: [{ label, description, value: { path: '' } }] };
}

/** What is wrong with it; the line says already which file it is. */
function reasonOf(error: unknown, { path }: FoundThing): string {
  const { message } = Failure.from(error);
  const told = message.replace(`${path}: `, '').replaceAll(path, 'The file');
  return told.charAt(0).toUpperCase() + told.slice(1);
}

function factsText(facts: ModelFacts, { bytes }: FoundThing): string {
  const { architecture, layers, width, contextLength } = facts;
  const shape = `${layers} layers of ${formatCount(width)}`;
  return `${architecture} · ${shape} · context ${formatCount(contextLength)} · ${formatBytes(bytes)}`;
}
