import { resolve } from 'node:path';
import { formatBytes } from '../common/numbers.ts';
import type { DownloadResult } from '../contracts/commandLine.ts';
import { download, type DownloadProgress } from '../hub/download.ts';
import { findOffer, modelOffers } from '../hub/modelFiles.ts';
import { listFiles } from '../hub/repository.ts';
import { saeOffers } from '../hub/saeFiles.ts';
import { onlyPositional, text, usage } from './arguments.ts';
import type { Command } from './command.ts';
import { downloadFolder, hubOf, hubOptions } from './hubOptions.ts';

/** `loupe download`: a model or an SAE from the Hub; run again, it goes on where it was broken off. */
export const downloadCommand: Command = {
  name: 'download',
  usage:
    'download REPOSITORY [--file F | --folder SAE_ID] [--revision R] [--out DIR] [--endpoint URL]',
  summary: 'Download a model or an SAE from the Hub; run again, it goes on where it ended',
  options: {
    ...hubOptions,
    file: { type: 'string' },
    folder: { type: 'string' },
    revision: { type: 'string' },
    out: { type: 'string' },
  },

  async run({ signal, ...input }): Promise<DownloadResult> {
    const { values } = input;
    const id = onlyPositional({ ...input, signal }, 'REPOSITORY');
    const [file, folder] = [text(values, 'file'), text(values, 'folder')];
    if (file !== undefined && folder !== undefined) throw usage('Either --file or --folder.');
    const hub = await hubOf({ values });
    const repository = await listFiles(hub, id, signal, text(values, 'revision'));
    const offers = [...modelOffers(repository), ...saeOffers(repository)];
    const offer = findOffer(offers, repository.id, file ?? folder);
    const out = resolve(text(values, 'out') ?? downloadFolder());
    const path = await download(
      hub,
      { repository, offer, folder: out },
      { signal, report: progressLog(line => input.log(line)) },
    );
    const { kind, bytes } = offer;
    const files = offer.files.map(one => one.path);
    return { repository: repository.id, commit: repository.commit, kind, path, bytes, files };
  },

  format(result) {
    const { kind, path, bytes } = result as DownloadResult;
    return `${path}\n${formatBytes(bytes)}; use it with --${kind} ${path}`;
  },
};

/** Logs each file, and each twentieth of the whole. */
function progressLog(log: (line: string) => void): (progress: DownloadProgress) => void {
  let last = '';
  return ({ bytes, total, path }) => {
    const share = total === 0 ? 20 : Math.floor((bytes / total) * 20);
    const key = `${path} ${share}`;
    if (key !== last) log(`${path}: ${formatBytes(bytes)} of ${formatBytes(total)}`);
    last = key;
  };
}
