import * as vscode from 'vscode';
import { Failure } from '../../common/failure.ts';
import { formatBytes, formatCount } from '../../common/numbers.ts';
import type { HubClient } from '../../hub/hubClient.ts';
import { findOffer, modelOffers, type Offer } from '../../hub/modelFiles.ts';
import {
  listFiles,
  searchHub,
  type HubFilter,
  type HubFiles,
  type HubRepository,
} from '../../hub/repository.ts';
import { saeOffers } from '../../hub/saeFiles.ts';
import { repositoryId } from '../../hub/safeName.ts';
import { findUnfinished, type Unfinished } from '../../hub/unfinished.ts';
import type { ChooseTargets } from '../chooseFiles.ts';
import { failureText } from '../presentFailure.ts';
import { downloadWithProgress } from './hubDownload.ts';
import { pickFrom, type Line, type Section } from './pickList.ts';
import { downloadFolder, hubOf, refused } from './places.ts';

type Kind = Offer['kind'];

const filters: Readonly<Record<Kind, readonly HubFilter[]>> = {
  model: ['gguf', 'safetensors'],
  sae: ['saelens'],
};

/** Milliseconds after the last key before the Hub is asked. */
const pause = 300;

/** Lets the user search the Hub and pick what to download; resolves to it on this machine. */
export async function chooseFromHub(
  targets: ChooseTargets,
  kind: Kind,
): Promise<string | undefined> {
  const hub = await hubOf();
  const id = await pickFrom<string>({
    title: `Loupe: Search ${hub.endpoint.host} for ${kind === 'model' ? 'Models' : 'SAEs'}`,
    placeholder: 'Type a part of its name, or OWNER/NAME',
    filter: false,
    fill: (list, signal) =>
      new Promise(resolve => {
        let timer: NodeJS.Timeout | undefined;
        let last = new AbortController();
        list.busy(false);
        list.onDidType(text => {
          clearTimeout(timer);
          last.abort();
          last = new AbortController();
          const either = AbortSignal.any([signal, last.signal]);
          timer = setTimeout(() => {
            list.busy(true);
            void found(hub, kind, text, either).then(sections => {
              if (either.aborted) return;
              list.show(sections);
              list.busy(false);
            });
          }, pause);
        });
        signal.addEventListener('abort', () => {
          clearTimeout(timer);
          resolve();
        });
      }),
  });
  return id === undefined ? undefined : await downloadFrom(targets, hub, { kind, id });
}

/** What the Hub has by that name; what goes wrong is a line of its own. */
async function found(
  hub: HubClient,
  kind: Kind,
  query: string,
  signal: AbortSignal,
): Promise<Section<string>[]> {
  if (query.trim() === '') return [];
  const exact = exactId(query);
  const direct: Section<string> = {
    title: 'By name',
    lines: exact === undefined ? [] : [{ label: `$(repo) ${exact}`, value: exact }],
  };
  try {
    const searches = filters[kind].map(filter => searchHub(hub, { query, filter }, signal));
    const all = new Map((await Promise.all(searches)).flat().map(one => [one.id, one]));
    const sorted = [...all.values()].sort((a, b) => b.downloads - a.downloads);
    const none = [{ label: '$(info) Nothing by that name', refusal: 'Type another name.' }];
    const lines = sorted.map(repositoryLine);
    return [direct, { title: hub.endpoint.host, lines: lines.length > 0 ? lines : none }];
  } catch (error) {
    if (signal.aborted) return [];
    const text = failureText(Failure.from(error));
    return [
      direct,
      { title: 'The search failed', lines: [refused({ label: hub.endpoint.host }, text)] },
    ];
  }
}

function repositoryLine({ id, downloads, gated, tags }: HubRepository): Line<string> {
  const marks = [gated ? '$(lock) asks for consent' : '', tags.includes('gguf') ? 'GGUF' : ''];
  const facts = [`${formatCount(downloads)} downloads`, ...marks].filter(fact => fact !== '');
  return { label: id, description: facts.join(' · '), value: id };
}

function exactId(text: string): string | undefined {
  try {
    const id = repositoryId(text);
    return id.includes('/') ? id : undefined;
  } catch {
    return undefined;
  }
}

/** Lets the user pick what of a repository to download, and downloads it; `name` picks for them. */
export async function downloadFrom(
  targets: ChooseTargets,
  hub: HubClient,
  wanted: {
    readonly kind: Kind;
    readonly id: string;
    readonly name?: string;
    readonly revision?: string;
  },
): Promise<string | undefined> {
  const { kind, id, name, revision } = wanted;
  const repository = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Window, title: `Loupe: asking ${hub.endpoint.host}` },
    () => listFiles(hub, id, AbortSignal.timeout(60_000), revision),
  );
  const offers = kind === 'model' ? modelOffers(repository) : saeOffers(repository);
  const [first] = offers;
  if (!first) findOffer(offers, id);
  const offer =
    name === undefined ? await pickOffer(targets, repository, offers) : findOffer(offers, id, name);
  if (!offer) return undefined;
  const folder = downloadFolder(targets);
  return await downloadWithProgress(hub, { repository, offer, folder });
}

async function pickOffer(
  targets: ChooseTargets,
  { id }: HubFiles,
  offers: readonly Offer[],
): Promise<Offer | undefined> {
  const lines = offers.map((offer): Line<Offer> => {
    const { name, bytes, files, obstacle } = offer;
    const quantisation = /[.-](i?q\d\w*|b?f16|f32)\.gguf$/i.exec(name)?.[1]?.toUpperCase();
    const facts = [
      quantisation,
      formatBytes(bytes),
      files.length > 1 ? `${files.length} files` : '',
    ];
    const description = facts.filter(fact => fact !== undefined && fact !== '').join(' · ');
    const line = { label: name === '' ? id : name, description };
    return obstacle === undefined
      ? { ...line, iconPath: new vscode.ThemeIcon('cloud-download'), value: offer }
      : refused(line, obstacle);
  });
  return await pickFrom<Offer>({
    title: `Loupe: Download from ${id}`,
    placeholder: `Choose what to download to ${downloadFolder(targets)}`,
    fill: list => {
      list.show([{ title: id, lines }]);
      return Promise.resolve();
    },
  });
}

/** The downloads that were broken off, for going on with them. */
export async function unfinishedOf(
  targets: ChooseTargets,
  kind: Kind,
  signal: AbortSignal,
): Promise<readonly Unfinished[]> {
  const all = await findUnfinished(downloadFolder(targets), signal);
  return all.filter(unfinished => unfinished.kind === kind);
}

/** Lines for downloads to go on with. */
export function unfinishedSection(
  unfinished: readonly Unfinished[],
): Section<{ readonly unfinished: Unfinished }> {
  return {
    title: 'Downloads that have not ended',
    lines: unfinished.map((one): Line<{ readonly unfinished: Unfinished }> => {
      const name = one.name === '' ? one.repository : `${one.repository}/${one.name}`;
      return { label: `$(cloud-download) Go on: ${name}`, value: { unfinished: one } };
    }),
  };
}

/** Goes on with a download that was broken off, at the commit that it was begun at. */
export async function goOn(
  targets: ChooseTargets,
  { kind, repository, commit, name }: Unfinished,
): Promise<string | undefined> {
  const wanted = { kind, id: repository, name, revision: commit };
  return await downloadFrom(targets, await hubOf(), wanted);
}
