// `npm run bench [-- name...]`: runs the benchmarks one after another, on a machine that does nothing else.
// `npm run bench -- papers/NAME [option...]`: runs the experiment of a paper; `npm run bench -- gpu [option...]`: on a GPU.
// Their options are in their main.ts.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { exitCode } from '../scripts/commands.ts';
import { root } from '../scripts/targets.ts';

const benchmarks = readdirSync(join(root, 'bench'))
  .filter(file => file.endsWith('.ts') && file !== 'run.ts')
  .map(file => file.slice(0, -'.ts'.length));
const experiments = readdirSync(join(root, 'bench/papers'), { withFileTypes: true })
  .filter(entry => entry.isDirectory())
  .map(({ name }) => `papers/${name}`)
  .concat('gpu');

const args = process.argv.slice(2);
const optionsAt = args.findIndex(arg => arg.startsWith('-'));
const wanted = optionsAt < 0 ? args : args.slice(0, optionsAt);
const options = optionsAt < 0 ? [] : args.slice(optionsAt);
const unknown = wanted.filter(name => ![...benchmarks, ...experiments].includes(name));
if (unknown.length > 0) {
  const known = [...benchmarks, ...experiments].join(', ');
  console.error(`No benchmark ${unknown.join(', ')}; there are ${known}.`);
  process.exitCode = 2;
} else if (options.length > 0 && (wanted.length !== 1 || !experiments.includes(wanted[0] ?? ''))) {
  console.error(`Options go with one of ${experiments.join(', ')}; got ${options.join(' ')}.`);
  process.exitCode = 2;
} else {
  for (const name of wanted.length > 0 ? wanted : benchmarks) {
    console.log(`\n== ${name}`);
    const file = experiments.includes(name) ? `bench/${name}/main.ts` : `bench/${name}.ts`;
    const code = await exitCode(process.execPath, ['--import', 'tsx', file, ...options], {
      cwd: root,
    });
    if (code !== 0) process.exitCode = 1;
  }
}
