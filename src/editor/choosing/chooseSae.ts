import { join } from 'node:path';
import * as vscode from 'vscode';
import { embeddedSae } from '../../common/embedded.ts';
import { formatBytes, formatCount } from '../../common/numbers.ts';
import type { FoundThing } from '../../contracts/foundThing.ts';
import type { ModelFacts, SaeFacts } from '../../contracts/lookAt.ts';
import type { PublicSae } from '../../contracts/publicSae.ts';
import { publicSaesFile, readPublicSaes } from '../../hub/publicSaes.ts';
import { isSameModel, saeFit } from '../../hub/saeFit.ts';
import type { Unfinished } from '../../hub/unfinished.ts';
import type { ChooseTargets } from '../chooseFiles.ts';
import { setting } from '../settings.ts';
import { chooseFromHub, downloadFrom, goOn, unfinishedOf, unfinishedSection } from './hubSearch.ts';
import { pickFrom, type Line, type OpenList, type Section } from './pickList.ts';
import { foundOnDisk, hubOf, inUse, lineOf, refused } from './places.ts';
import { choosePublicSae } from './publicSaeList.ts';
import { saeAt, selectedModel, useSae } from './use.ts';

/** What a line of the list stands for. */
type Choice =
  | { readonly path: string }
  | { readonly unfinished: Unfinished }
  | { readonly known: readonly PublicSae[] }
  | 'search'
  | 'browse';

/** Lets the user pick an SAE, and makes it the one in use. */
export async function chooseSae(targets: ChooseTargets): Promise<void> {
  const path = await pick(targets, () => selectedModel(targets));
  if (path !== undefined) await useSae(targets, path);
}

/** Lets the user pick an SAE for a model that is not in use yet; resolves to its path, '' for the embedded one. */
export async function chooseSaeFor(
  targets: ChooseTargets,
  model: ModelFacts,
): Promise<string | undefined> {
  return await pick(targets, () => Promise.resolve(model), ` for ${model.name}`);
}

async function pick(
  targets: ChooseTargets,
  model: () => Promise<ModelFacts | undefined>,
  whose = '',
): Promise<string | undefined> {
  const choice = await pickFrom<Choice>({
    title: `Loupe: Choose SAE${whose}`,
    placeholder: 'The sparse autoencoder whose features are shown',
    fill: (list, signal) => fill({ targets, list, signal }, model),
  });
  return choice === undefined ? undefined : await pathOf(targets, choice);
}

async function pathOf(targets: ChooseTargets, choice: Choice): Promise<string | undefined> {
  if (choice === 'search') return await chooseFromHub(targets, 'sae');
  if (choice === 'browse') {
    const options = { title: 'Loupe: Choose SAE', canSelectFiles: false, canSelectFolders: true };
    const [folder] = (await vscode.window.showOpenDialog(options)) ?? [];
    return folder?.fsPath;
  }
  if ('path' in choice) return choice.path;
  if ('unfinished' in choice) return await goOn(targets, choice.unfinished);
  const sae = await choosePublicSae(choice.known);
  if (!sae) return undefined;
  const { repository, path } = sae;
  return await downloadFrom(targets, await hubOf(), { kind: 'sae', id: repository, name: path });
}

interface Filling {
  readonly targets: ChooseTargets;
  readonly list: OpenList<Choice>;
  readonly signal: AbortSignal;
}

async function fill(
  { targets, list, signal }: Filling,
  describeModel: () => Promise<ModelFacts | undefined>,
): Promise<void> {
  const present = setting('sae.path');
  const embedded = embeddedLine(present);
  // What is found comes below what is known at once: nothing moves under the mouse.
  const atOnce = (itsLine: Line<Choice>): Section<Choice>[] => [
    inUse(present, { path: present }),
    { title: 'Comes with Loupe', lines: [itsLine] },
    {
      title: 'Elsewhere',
      lines: [
        { label: '$(cloud) Search the Hub…', value: 'search' },
        { label: '$(folder-opened) Choose a folder…', value: 'browse' },
      ],
    },
  ];
  list.show(atOnce(embedded));
  const [found, unfinished, model, index] = await Promise.all([
    foundOnDisk(targets, 'sae', signal),
    unfinishedOf(targets, 'sae', signal),
    describeModel(),
    readPublicSaes(join(targets.context.extensionPath, publicSaesFile)),
  ]);
  const path = join(targets.context.extensionPath, embeddedSae);
  const itsFit = saeFit((await saeAt(targets, path)) ?? {}, model);
  const why = itsFit.kind === 'fits' ? undefined : itsFit.why;
  const groups: Record<'fits' | 'may' | 'not', Line<Choice>[]> = { fits: [], may: [], not: [] };
  for (const thing of found) {
    if (signal.aborted) return;
    const facts = await saeAt(targets, thing.path);
    const fit = saeFit(facts ?? {}, model);
    const line = lineOf<Choice>(thing, { path: thing.path });
    const told = { ...line, description: factsText(facts, thing) };
    if (fit.kind === 'not') groups.not.push(refused(told, fit.why));
    else if (fit.kind === 'fits' || fit.why === undefined) groups[fit.kind].push(told);
    else groups.may.push({ ...told, detail: `$(question) ${fit.why}` });
  }
  const known = model ? index.filter(sae => isSameModel(sae.model, model.name)) : [];
  const publicLine: Line<Choice> = {
    label: `$(book) Public SAEs of ${model?.name ?? ''}…`,
    description: `${formatCount(known.length)} of ${new Set(known.map(sae => sae.release)).size} releases`,
    value: { known },
  };
  list.show([
    ...atOnce(why === undefined ? embedded : refused(embedded, why)),
    { title: 'Published', lines: known.length > 0 ? [publicLine] : [] },
    unfinishedSection(unfinished),
    { title: `Fit ${model?.name ?? ''}`, lines: groups.fits },
    { title: model ? `May fit ${model.name}` : 'On this machine', lines: groups.may },
    { title: 'Do not fit', lines: groups.not },
  ]);
}

function embeddedLine(present: string): Line<Choice> {
  const label = '8,192 features at layer 15 of SmolLM2-135M-Instruct';
  const description = present === '' ? 'embedded · in use' : 'embedded';
  const detail = 'HierarchicalTopK: one SAE for every sparsity up to 64 features per token';
  return { label, description, detail, value: { path: '' } };
}

function factsText(facts: SaeFacts | undefined, { bytes, format }: FoundThing): string {
  const { hook = null, features = null, kind = null } = facts ?? {};
  const told = [
    hook,
    features === null ? null : `${formatCount(features)} features`,
    kind ?? format,
    formatBytes(bytes),
  ];
  return told.filter(text => text !== null).join(' · ');
}
