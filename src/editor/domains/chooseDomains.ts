import { basename } from 'node:path';
import * as vscode from 'vscode';
import { Failure } from '../../common/failure.ts';
import { domainEntries, entryPath, type Domains, type KnownDomain } from './domains.ts';
import type { Engine } from '../engine/engine.ts';
import type { Session } from '../session.ts';
import { changeSetting } from '../settings.ts';

/** What the commands for domains act on. */
export interface DomainTargets {
  readonly engine: Engine;
  readonly session: Session;
  readonly domains: Domains;
}

/** Lets the user tick which of the known domains are on. */
export async function chooseDomains({ engine, session, domains }: DomainTargets): Promise<void> {
  const known = await domains.list();
  if (known.length === 0) {
    await offerFirst();
    return;
  }
  const refused = new Map(engine.loaded?.sae.refused.map(({ path, message }) => [path, message]));
  const items = known.map(domain => ({
    label: domain.name,
    description: refused.has(domain.path) ? '$(warning) cannot be used' : originOf(domain),
    detail: refused.get(domain.path) ?? domain.path,
    picked: session.isOn(domain.path) && !refused.has(domain.path),
    path: domain.path,
  }));
  const chosen = await vscode.window.showQuickPick(items, {
    title: 'Loupe: Choose Domains',
    placeHolder: 'Domains whose residual SAEs are added to the base',
    canPickMany: true,
  });
  if (!chosen) return;
  for (const item of items) {
    if (!refused.has(item.path)) session.setDomain(item.path, chosen.includes(item));
  }
}

async function offerFirst(): Promise<void> {
  const items = [
    { label: '$(add) Add a residual SAE…', command: 'loupe.addDomain' },
    { label: '$(beaker) Train one on the workspace…', command: 'loupe.trainResidual' },
  ];
  const title = 'Loupe: No domain is known yet';
  const chosen = await vscode.window.showQuickPick(items, { title });
  if (chosen) await vscode.commands.executeCommand(chosen.command);
}

/** Lets the user name the folder of a residual SAE; it goes into the setting `loupe.domains`. */
export async function addDomain({ session }: DomainTargets): Promise<void> {
  const [folder] =
    (await vscode.window.showOpenDialog({
      title: 'Loupe: Add Domain',
      openLabel: 'Add Residual SAE',
      canSelectFiles: false,
      canSelectFolders: true,
    })) ?? [];
  if (!folder) return;
  const path = folder.fsPath;
  const config = vscode.Uri.joinPath(folder, 'cfg.json');
  const isSae = await vscode.workspace.fs.stat(config).then(
    () => true,
    () => false,
  );
  if (!isSae) {
    throw new Failure('not-found', `There is no residual SAE in ${path}.`, {
      action: 'Choose a folder with cfg.json and sae_weights.safetensors.',
    });
  }
  session.setDomain(path, true);
  const entries = domainEntries();
  if (entries.some(entry => entryPath(entry) === path)) return;
  await changeSetting('domains', [...entries, { name: basename(path), path }]);
}

/** Takes a domain off the list; one that was trained in this workspace goes with its files, if the user says so. */
export async function removeDomain({ domains }: DomainTargets): Promise<void> {
  const known = await domains.list();
  if (known.length === 0) {
    await offerFirst();
    return;
  }
  const items = known.map(domain => ({
    label: domain.name,
    description: originOf(domain),
    detail: domain.path,
    domain,
  }));
  const chosen = await vscode.window.showQuickPick(items, { title: 'Loupe: Remove Domain' });
  if (!chosen) return;
  const { domain } = chosen;
  if (domain.origin === 'setting') {
    const rest = domainEntries().filter(entry => entryPath(entry) !== domain.path);
    await changeSetting('domains', rest);
    return;
  }
  const remove = 'Delete';
  const answer = await vscode.window.showWarningMessage(
    `Delete the residual SAE of ${domain.name}?`,
    { modal: true, detail: `The folder ${domain.path} with its training and report is deleted.` },
    remove,
  );
  if (answer !== remove) return;
  await vscode.workspace.fs.delete(vscode.Uri.file(domain.path), { recursive: true });
  await domains.refresh();
}

function originOf({ origin }: KnownDomain): string {
  return origin === 'setting' ? 'from the settings' : 'trained in this workspace';
}
