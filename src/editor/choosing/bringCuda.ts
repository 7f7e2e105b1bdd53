import * as vscode from 'vscode';
import { Failure } from '../../common/failure.ts';
import { formatBytes } from '../../common/numbers.ts';
import {
  downloadCuda,
  installCudaFrom,
  offerCuda,
  type CudaPlaces,
  type CudaProgress,
} from '../../cuda/installCuda.ts';
import { isRuntimeFrom, ownRuntimeFolder, runtimeVersionIn } from '../../cuda/runtimeFolder.ts';
import { changeSetting, setting } from '../settings.ts';
import { reporter } from './hubDownload.ts';

const [yes, own] = ['Download', 'Choose a Folder'];

/** Tells what would be downloaded, and does so if the user agrees; resolves to whether the engine is to start anew for it. */
export async function bringCuda(places: CudaPlaces): Promise<boolean> {
  const told = await withProgress('Asking for the size of CUDA’s libraries', ({ signal }) =>
    offerCuda(places, signal, { index: setting('cuda.endpoint') || undefined }).catch(
      otherThanFeed,
    ),
  );
  if (told === undefined) return false;
  const detail =
    told instanceof Failure
      ? `${told.message} You can name a folder that has the libraries.`
      : `${formatBytes(told.missing)} from ${told.found.url.host}, and about as much again unpacked, into Loupe’s storage (${told.folder}). CUDA itself, cuDNN and NVIDIA’s driver are to be installed by you.`;
  const question =
    told instanceof Failure || !told.isThere
      ? 'Download the libraries that onnxruntime needs for CUDA?'
      : 'The libraries that onnxruntime needs for CUDA are here. Download them again?';
  const ways = told instanceof Failure ? [own] : [yes, own];
  const chosen = await vscode.window.showInformationMessage(
    question,
    { modal: true, detail },
    ...ways,
  );
  if (chosen === own) await chooseFolder();
  if (chosen !== yes || told instanceof Failure) return false;
  const folder = await withProgress('Downloading CUDA’s libraries', ({ signal, progress }) => {
    const show = reporter(progress);
    return downloadCuda(places, told, {
      signal,
      report: ({ step, bytes, total }) => {
        if (step === 'Downloading') show({ bytes, total });
        else progress.report({ message: step });
      },
    });
  });
  if (folder === undefined) {
    const text =
      'Loupe: the download was cancelled. What has arrived is kept: run the command again to go on.';
    void vscode.window.showInformationMessage(text);
    return false;
  }
  if (!['auto', 'cuda'].includes(setting('device'))) void offerCudaDevice();
  if (setting('cuda.libraries') === '') return true;
  await changeSetting('cuda.libraries', ''); // the setting's change does the rest
  return false;
}

/** What became of the runtime with the user's libraries; 'there': it was before. */
export type LaidOut = 'there' | 'new' | 'cancelled';

/** Lays out the runtime with the libraries at the path that the setting names. */
export async function useCudaLibraries(places: CudaPlaces, path: string): Promise<LaidOut> {
  const folder = ownRuntimeFolder(places.storage, runtimeVersionIn(places.modules));
  if (await isRuntimeFrom(folder, path)) return 'there';
  const laidOut = await withProgress('Preparing CUDA’s libraries', ({ signal, progress }) => {
    const report = ({ step }: CudaProgress): void => progress.report({ message: step });
    return installCudaFrom(places, path, { signal, folder, report });
  });
  return laidOut === undefined ? 'cancelled' : 'new';
}

/** A feed that does not answer leaves the user's own libraries; on another machine they would not help either. */
function otherThanFeed(error: unknown): Failure {
  const failure = Failure.from(error);
  if (failure.code === 'cancelled' || failure.code === 'unsupported') throw failure;
  return failure;
}

/** The setting's change does the rest. */
async function chooseFolder(): Promise<void> {
  const [folder] =
    (await vscode.window.showOpenDialog({
      ...{ canSelectFiles: false, canSelectFolders: true },
      title: 'A folder with libonnxruntime_providers_cuda.so',
    })) ?? [];
  if (folder) await changeSetting('cuda.libraries', folder.fsPath);
}

async function offerCudaDevice(): Promise<void> {
  const use = 'Use CUDA';
  const text = 'Loupe: CUDA’s libraries are here. The setting loupe.device says what is used.';
  const chosen = await vscode.window.showInformationMessage(text, use);
  if (chosen === use) await changeSetting('device', 'cuda');
}

type Shown = vscode.Progress<{ readonly message?: string; readonly increment?: number }>;

/** Undefined where the user cancelled it. */
async function withProgress<T>(
  title: string,
  act: (shown: { readonly signal: AbortSignal; readonly progress: Shown }) => Promise<T>,
): Promise<T | undefined> {
  const location = vscode.ProgressLocation.Notification;
  try {
    return await vscode.window.withProgress(
      { location, title, cancellable: true },
      async (progress, token) => {
        const cancel = new AbortController();
        const stop = new Failure('cancelled', `${title} was cancelled.`);
        token.onCancellationRequested(() => cancel.abort(stop));
        return await act({ signal: cancel.signal, progress });
      },
    );
  } catch (error) {
    if (Failure.is(error, 'cancelled')) return undefined;
    throw error;
  }
}
