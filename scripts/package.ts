// Packages VSIX files into out/: `npm run package [-- TARGET...|all]`; without a target, for this machine.
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './commands.ts';
import {
  hostTarget,
  isTarget,
  writeIgnoreFile,
  root,
  targets,
  vsixPath,
  type Target,
} from './targets.ts';

const wanted = chosenTargets(process.argv.slice(2));
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
  const vsce = join(root, 'node_modules/@vscode/vsce/vsce');
  const options = [
    '--target',
    target,
    '--ignoreFile',
    writeIgnoreFile(target),
    '--out',
    vsixPath(target),
  ];
  await run(
    process.execPath,
    [vsce, 'package', ...options, '--allow-missing-repository', '--no-rewrite-relative-links'],
    {
      cwd: root,
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
}

function megabytes(path: string): string {
  return `${(statSync(path).size / 1e6).toFixed(1)} MB`;
}
