// `npm run bench [-- name...]`: runs the benchmarks one after another, on a machine that does nothing else.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { exitCode } from '../scripts/commands.ts';
import { root } from '../scripts/targets.ts';

const benchmarks = readdirSync(join(root, 'bench'))
  .filter(file => file.endsWith('.ts') && file !== 'run.ts')
  .map(file => file.slice(0, -'.ts'.length));
const wanted = process.argv.slice(2);
const unknown = wanted.filter(name => !benchmarks.includes(name));
if (unknown.length > 0) {
  console.error(`No benchmark ${unknown.join(', ')}; there are ${benchmarks.join(', ')}.`);
  process.exitCode = 2;
} else {
  for (const name of wanted.length > 0 ? wanted : benchmarks) {
    console.log(`\n== ${name}`);
    const code = await exitCode(process.execPath, ['--import', 'tsx', `bench/${name}.ts`], {
      cwd: root,
    });
    if (code !== 0) process.exitCode = 1;
  }
}
