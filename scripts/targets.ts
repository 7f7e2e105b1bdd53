import { createRequire } from 'node:module';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The repository's root folder. */
export const root = join(import.meta.dirname, '..');

/** A platform that Loupe is packaged for, by VS Code's name. */
export type Target = keyof typeof onnxruntimeFiles;

/** The files of onnxruntime-node that each platform needs, under bin/napi-v6. */
const onnxruntimeFiles = {
  'linux-x64': ['linux/x64/**'],
  'linux-arm64': ['linux/arm64/**'],
  'win32-x64': ['win32/x64/**'],
  'win32-arm64': ['win32/arm64/**'],
  // The package holds the library twice; the binding links to the name without the patch version.
  'darwin-arm64': ['darwin/arm64/onnxruntime_binding.node', 'darwin/arm64/libonnxruntime.1.dylib'],
} as const;

export const targets: readonly Target[] = Object.keys(onnxruntimeFiles).filter(isTarget);

/** The target of the machine that this runs on, if Loupe has one. */
export function hostTarget(): Target | undefined {
  const name = `${process.platform}-${process.arch}`;
  return isTarget(name) ? name : undefined;
}

export function isTarget(name: string): name is Target {
  return Object.hasOwn(onnxruntimeFiles, name);
}

/** Writes the target's allow-list for vsce (.vscodeignore and its onnxruntime binaries), and says where. */
export function writeIgnoreFile(target: Target): string {
  const common = readFileSync(join(root, '.vscodeignore'), 'utf8').trimEnd();
  const binaries = onnxruntimeFiles[target].map(
    file => `!node_modules/onnxruntime-node/bin/napi-v6/${file}`,
  );
  const file = join(root, 'out', `vscodeignore.${target}`);
  mkdirSync(join(root, 'out'), { recursive: true });
  writeFileSync(file, [common, ...binaries, ''].join('\n'));
  return file;
}

/** Where `npm run package` puts a target's VSIX. */
export function vsixPath(target: Target): string {
  return join(root, 'out', `loupe-${target}-${version()}.vsix`);
}

function version(): string {
  const manifest: unknown = createRequire(import.meta.url)('../package.json');
  if (typeof manifest === 'object' && manifest !== null && 'version' in manifest)
    return String(manifest.version);
  throw new Error('package.json names no version');
}
