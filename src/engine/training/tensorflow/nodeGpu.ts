import { createRequire } from 'node:module';
import { isAbsolute, join } from 'node:path';
import util from 'node:util';
import { Failure } from '../../../common/failure.ts';

/** What of @tensorflow/tfjs-node-gpu is used; its kernels go into the registry that all tfjs-cores of a process share. */
interface NodeGpu {
  readonly backend: () => { readonly isUsingGpuDevice?: boolean };
}

/** Where a package is looked for, for people and for `require`. */
interface Place {
  readonly where: string;
  readonly path: string;
}

const nodeRequire = createRequire(import.meta.url);
const name = '@tensorflow/tfjs-node-gpu';
/** The oldest that this was tried with; another major number may have other kernels. */
const oldest = { major: 4, minor: 22 };
const install = `Run \`npm install ${name}@4.22.0\` in a folder of yours and name that folder (loupe.tensorflow.path, or --tensorflow).`;
const cuda = 'It needs an NVIDIA GPU, with CUDA 11 and cuDNN 8 on the library path.';

/**
 * Loads the user's @tensorflow/tfjs-node-gpu, and with it libtensorflow: from `folder`/node_modules, or from beside Loupe
 * where no folder is given. Runs code of that folder. Returns its version; fails where it is not there, does not load,
 * or has no GPU.
 */
export function loadNodeGpu(folder: string | undefined): string {
  if (folder !== undefined && !isAbsolute(folder)) {
    throw new Failure('usage', `The folder with ${name} is to be an absolute path, not ${folder}.`);
  }
  const installed: Place =
    folder === undefined
      ? { where: 'the folders that Loupe is in', path: name }
      : { where: folder, path: join(folder, 'node_modules', name) }; // not in a folder above
  const version = installedVersion(installed);
  // Its log on stderr is of no use to those who train; and the model may need room on the same GPU.
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
  process.env['TF_FORCE_GPU_ALLOW_GROWTH'] ??= 'true';
  restoreIsNullOrUndefined();
  const loaded = load(installed, version);
  if (loaded.backend().isUsingGpuDevice !== true) {
    throw new Failure('unsupported', `${name} ${version} finds no GPU that it can use.`, {
      action: `${cuda} On a CPU, Loupe's own steps are the faster ones.`,
    });
  }
  return version;
}

function installedVersion({ where, path }: Place): string {
  let version: string;
  try {
    ({ version } = nodeRequire(`${path}/package.json`) as { version: string });
  } catch (cause) {
    throw new Failure('not-found', `${name} is not installed in ${where}.`, {
      action: install,
      cause,
    });
  }
  const [major = NaN, minor = NaN] = version.split('.').map(Number);
  if (major === oldest.major && minor >= oldest.minor) return version;
  throw new Failure(
    'mismatch',
    `${name} in ${where} is ${version}; Loupe needs ${oldest.major}.${oldest.minor} or a later ${oldest.major}.x.`,
    { action: install },
  );
}

function load({ where, path }: Place, version: string): NodeGpu {
  try {
    return nodeRequire(path) as NodeGpu;
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new Failure('unsupported', `${name} ${version} in ${where} ${why(message)}`, {
      action: remedy(message),
      cause,
    });
  }
}

function remedy(message: string): string {
  if (/cuda|cudnn|cublas/i.test(message)) return cuda;
  return /native addon|libtensorflow/i.test(message)
    ? `Run \`npm rebuild ${name}\` there, which downloads what is missing.`
    : `Run \`npm rebuild ${name} --build-addon-from-source\` there, with the Node.js that runs Loupe.`;
}

/** What is wrong, as the end of a sentence. */
function why(message: string): string {
  const line = message.replaceAll(/\s+/g, ' ').trim();
  if (/NODE_MODULE_VERSION|compiled against a different|napi version/i.test(line))
    return `was built for another version of Node.js than ${process.version}: ${line}`;
  if (/native addon module/i.test(line))
    return 'has no native part: its download failed when it was installed.';
  return `does not load: ${line}`;
}

/** tfjs-node 4.22 calls `util.isNullOrUndefined`, which Node.js 23 dropped. */
function restoreIsNullOrUndefined(): void {
  const old = util as { isNullOrUndefined?: (value: unknown) => boolean };
  old.isNullOrUndefined ??= value => value === null || value === undefined;
}
