import * as vscode from 'vscode';
import { Failure } from '../../common/failure.ts';
import { formatBytes } from '../../common/numbers.ts';
import { download, type DownloadProgress, type DownloadRequest } from '../../hub/download.ts';
import type { HubClient } from '../../hub/hubClient.ts';

/** Downloads under way in this window, by what they bring. */
const running = new Set<string>();

/** Downloads with a notification that shows how far it is and can be cancelled; undefined where it was. */
export async function downloadWithProgress(
  hub: HubClient,
  request: DownloadRequest,
): Promise<string | undefined> {
  const { repository, offer } = request;
  const name = offer.name === '' ? repository.id : `${repository.id}/${offer.name}`;
  const key = `${request.folder}\n${name}`;
  if (running.has(key)) throw new Failure('mismatch', `${name} is being downloaded already.`);
  running.add(key);
  try {
    return await vscode.window.withProgress(
      {
        location: vscode.ProgressLocation.Notification,
        title: `Downloading ${name}`,
        cancellable: true,
      },
      async (progress, token) => {
        const cancel = new AbortController();
        const stop = new Failure('cancelled', 'The download was cancelled.');
        token.onCancellationRequested(() => cancel.abort(stop));
        const report = reporter(progress);
        return await download(hub, request, { signal: cancel.signal, report });
      },
    );
  } catch (error) {
    if (!Failure.is(error, 'cancelled')) throw error;
    void offerToGoOn(name);
    return undefined;
  } finally {
    running.delete(key);
  }
}

/** Notification progress: the share that is new, and sizes in words; at most ten a second. */
export function reporter(
  progress: vscode.Progress<{ readonly message?: string; readonly increment?: number }>,
): (state: Pick<DownloadProgress, 'bytes' | 'total'>) => void {
  const begun = performance.now();
  let first: number | undefined;
  let [shown, told] = [0, 0];
  return ({ bytes, total }) => {
    first ??= bytes;
    const now = performance.now();
    if (now - told < 100 && bytes < total) return;
    told = now;
    const percent = total === 0 ? 100 : (bytes / total) * 100;
    const rate = ((bytes - first) / Math.max(now - begun, 1)) * 1000;
    const pace = now - begun > 1000 ? `, ${formatBytes(rate)}/s` : '';
    const message = `${formatBytes(bytes)} of ${formatBytes(total)}${pace}`;
    progress.report({ message, increment: percent - shown });
    shown = percent;
  };
}

async function offerToGoOn(name: string): Promise<void> {
  const text = `Loupe: the download of ${name} was cancelled. What has arrived is kept: choose it again to go on.`;
  await vscode.window.showInformationMessage(text);
}
