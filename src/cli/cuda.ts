import { formatBytes } from '../common/numbers.ts';
import type { CudaResult } from '../contracts/commandLine.ts';
import {
  downloadCuda,
  installCudaFrom,
  offerCuda,
  type CudaProgress,
} from '../cuda/installCuda.ts';
import { text, usage } from './arguments.ts';
import type { Command, CommandInput } from './command.ts';
import { cudaPlaces } from './cudaPlaces.ts';

/** `loupe cuda`: the libraries that onnxruntime needs for CUDA, downloaded or taken from where the user has them. */
export const cudaCommand: Command = {
  name: 'cuda',
  usage: 'cuda [--yes | --from FILE|FOLDER] [--endpoint URL]',
  summary: "Download onnxruntime's CUDA libraries (Linux x64), or take them from a file or folder",
  options: {
    yes: { type: 'boolean' },
    from: { type: 'string' },
    endpoint: { type: 'string' },
  },
  run: bring,

  format(result) {
    const { state, folder, bytes = 0, from = '' } = result as CudaResult;
    if (state === 'installed') return `${folder}\nUse it with --device cuda, or --device auto.`;
    return `${formatBytes(bytes)} to download from ${from}, and about as much again unpacked, into ${folder}.
Nothing was downloaded: add --yes to do so, or --from to use a file or folder that you have.
CUDA itself, cuDNN and NVIDIA's driver are to be installed by you.`;
  },
};

async function bring({ values, positionals, signal, ...input }: CommandInput): Promise<CudaResult> {
  if (positionals[0] !== undefined) throw usage(`'cuda' takes no '${positionals[0]}'.`);
  const [from, index] = [text(values, 'from'), text(values, 'endpoint')];
  const places = cudaPlaces();
  const options = { signal, report: progressLog(line => input.log(line)) };
  if (from !== undefined) {
    return { state: 'installed', folder: await installCudaFrom(places, from, options) };
  }
  const offer = await offerCuda(places, signal, { index });
  const told = { bytes: offer.missing, from: offer.found.url.host };
  if (values['yes'] !== true) {
    return { state: offer.isThere ? 'installed' : 'offered', folder: offer.folder, ...told };
  }
  return { state: 'installed', folder: await downloadCuda(places, offer, options), ...told };
}

/** Logs each step, and each twentieth of it. */
function progressLog(log: (line: string) => void): (progress: CudaProgress) => void {
  let last = '';
  return ({ step, bytes, total }) => {
    const key = `${step} ${Math.floor((bytes / total) * 20)}`;
    if (key !== last) log(`${step}: ${formatBytes(bytes)} of ${formatBytes(total)}`);
    last = key;
  };
}
