import { createRequire } from 'node:module';
import { isAbsolute, join } from 'node:path';
import util from 'node:util';
import { Failure } from '../../common/failure.ts';

/** What of @tensorflow/tfjs-node-gpu is used; its kernels go into the registry that all tfjs-cores of a process share. */
interface NodeGpu {
  readonly backend: () => { readonly isUsingGpuDevice?: boolean };
}

const name = '@tensorflow/tfjs-node-gpu';
/** The oldest that this was tried with; another major number may have other kernels. */
const oldest = { major: 4, minor: 22 };
const install = `Run \`npm install ${name}@4.22.0\` in a folder of yours and name that folder (loupe.tensorflow.path, or --tensorflow).`;

/**
 * Loads the user's @tensorflow/tfjs-node-gpu, and with it libtensorflow: from `folder`/node_modules, or from beside Loupe
 * where no folder is given. Runs code of that folder. Returns its version; fails where it is not there, does not load,
 * or has no GPU.
 */
export function loadNodeGpu(folder: string | undefined): string {
  if (folder !== undefined && !isAbsolute(folder)) {
    throw new Failure('usage', `The folder with ${name} is to be an absolute path, not ${folder}.`);
  }
  const require = createRequire(folder === undefined ? import.meta.url : join(folder, 'loupe.cjs'));
  const where = folder ?? 'the folders that Loupe is in';
  const version = installedVersion(require, where);
  // Its log on stderr is of no use to those who train; whoever wants it sets this.
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
  restoreIsNullOrUndefined();
  const loaded = load(require, version, where);
  if (loaded.backend().isUsingGpuDevice !== true) {
    throw new Failure('unsupported', `${name} ${version} finds no GPU that it can use.`, {
      action:
        'It needs an NVIDIA GPU with CUDA 11 and cuDNN 8 on the library path. On a CPU, Loupe trains faster by itself.',
    });
  }
  return version;
}

function installedVersion(require: NodeJS.Require, where: string): string {
  let version: string;
  try {
    ({ version } = require(`${name}/package.json`) as { version: string });
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

function load(require: NodeJS.Require, version: string, where: string): NodeGpu {
  try {
    return require(name) as NodeGpu;
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new Failure('unsupported', `${name} ${version} in ${where} ${why(message)}`, {
      action: /shared object|image not found|specified module|native addon/i.test(message)
        ? `Run \`npm rebuild ${name}\` there, which downloads what is missing.`
        : `Run \`npm rebuild ${name} --build-addon-from-source\` there, with the Node.js that runs Loupe.`,
      cause,
    });
  }
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
