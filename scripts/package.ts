// Packages VSIX files into out/: `npm run package [-- TARGET...|all]`; without a target, for this machine.
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './commands.ts';
import {
  hostTarget,
  isTarget,
  onnxruntimeFiles,
  root,
  targets,
  vsixPath,
  type Target,
} from './targets.ts';

const wanted = chosenTargets(process.argv.slice(2));
mkdirSync(join(root, 'out'), { recursive: true });
for (const target of wanted) await packageVsix(target);
for (const target of wanted) console.log(`${vsixPath(target)}  ${megabytes(vsixPath(target))}`);

function chosenTargets(names: readonly string[]): readonly Target[] {
  if (names.length === 1 && names[0] === 'all') return targets;
  if (names.length === 0) return [hostTarget() ?? 'linux-x64'];
  return names.map(name => {
    if (isTarget(name)) return name;
    throw new Error(`No target ${name}: there are ${targets.join(', ')} and all.`);
  });
}

async function packageVsix(target: Target): Promise<void> {
  const ignoreFile = join(root, 'out', `vscodeignore.${target}`);
  writeFileSync(ignoreFile, allowList(target));
  const vsce = join(root, 'node_modules/@vscode/vsce/vsce');
  const options = ['--target', target, '--ignoreFile', ignoreFile, '--out', vsixPath(target)];
  await run(
    process.execPath,
    [vsce, 'package', ...options, '--allow-missing-repository', '--no-rewrite-relative-links'],
    {
      cwd: root,
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
}

function allowList(target: Target): string {
  const files = onnxruntimeFiles[target].map(
    file => `!node_modules/onnxruntime-node/bin/napi-v6/${file}`,
  );
  return [readFileSync(join(root, '.vscodeignore'), 'utf8').trimEnd(), ...files, ''].join('\n');
}

function megabytes(path: string): string {
  return `${(statSync(path).size / 1e6).toFixed(1)} MB`;
}
