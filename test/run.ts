// Runs the checks named on the command line, or all of them: `npm test [-- unit engine ...]`.
// The last line says how many passed and failed; a check is a tool's run or one test of a test file.
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { exitCode } from '../scripts/commands.ts';
import { root } from '../scripts/targets.ts';

interface Outcome {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** A stage of the test run: a tool, or the test files of one folder. */
interface Stage {
  readonly name: string;
  /** Stages that must have passed in this run. */
  readonly needs: readonly string[];
  /** How many it keeps busy. */
  readonly cores: number;
  run(): Promise<Outcome>;
}

const node = process.execPath;
const modules = join(root, 'node_modules');
const tsc = join(modules, 'typescript/bin/tsc');

/** Each sees only what its layer may use. */
const typeProjects = [
  ...['tsconfig.pure.json', 'tsconfig.json', 'tsconfig.editor.json', 'tsconfig.webview.json'],
  ...['test/webview/tsconfig.json', 'test/editor/tsconfig.json'],
];

/** Of the machine that all is planned for. */
const cores = 2;

/** In the order in which they begin where cores are free; the browser's tests take the longest of those that use one. */
const stages: readonly Stage[] = [
  tool('build', ['esbuild.mjs', '--production']),
  tool('setup', ['--import', 'tsx', 'scripts/setupTests.ts']),
  tests('webview', ['build', 'setup'], 1),
  tool('eslint', [join(modules, 'eslint/bin/eslint.js'), '.']),
  tool('prettier', [join(modules, 'prettier/bin/prettier.cjs'), '--check', '.']),
  ...typeProjects.map(project => tool(`types (${project})`, [tsc, '-p', project])),
  tool('vsix', ['--import', 'tsx', 'scripts/package.ts'], ['build']),
  tests('package', ['vsix'], 1),
  tests('unit', ['build'], 2),
  // After setup, where it runs: WebGPU is tested on Chromium's SwiftShader.
  tests('engine', ['build'], 2),
  // Beside another one, an editor would tell us about the machine.
  tests('editor', ['vsix', 'setup'], 2, 1),
];

function tests(folder: string, needs: readonly string[], cores: number, atOnce = cores): Stage {
  return { name: folder, needs, cores, run: () => runTests(folder, atOnce) };
}

function tool(name: string, args: readonly string[], needs: readonly string[] = []): Stage {
  return {
    ...{ name, needs, cores: 1 },
    async run() {
      const code = await exitCode(node, args, { cwd: root });
      return code === 0 ? passedOne : failedOne;
    },
  };
}

const passedOne: Outcome = { passed: 1, failed: 0, skipped: 0 };
const failedOne: Outcome = { passed: 0, failed: 1, skipped: 0 };

async function runTests(folder: string, atOnce: number): Promise<Outcome> {
  const files = testFiles(join('test', folder));
  const unfit = files.filter(file => !isWholeTestFile(file));
  if (files.length === 0) console.error(`test/${folder} has no test file`);
  if (files.length === 0 || unfit.length > 0)
    return { ...failedOne, failed: Math.max(1, unfit.length) };
  mkdirSync(join(root, 'out/test'), { recursive: true });
  const report = join(root, `out/test/${folder}.tap`);
  rmSync(report, { force: true });
  const reporters = [
    ...['--test-reporter=spec', '--test-reporter-destination=stdout'],
    ...['--test-reporter=tap', `--test-reporter-destination=${report}`],
  ];
  const runner = ['--import', 'tsx', '--test', `--test-concurrency=${atOnce}`];
  const args = [...runner, ...reporters, ...files];
  const code = await exitCode(node, args, { cwd: root });
  if (!existsSync(report)) return failedOne;
  const outcome = readOutcome(readFileSync(report, 'utf8'));
  const told = outcome.failed > 0;
  return code === 0 || told ? outcome : { ...outcome, failed: 1 };
}

function testFiles(folder: string): readonly string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.test.ts'))
    .map(file => join(folder, file))
    .sort();
}

/** A file without a test would count as one that passed, and `.only` would leave the others out. */
function isWholeTestFile(file: string): boolean {
  const source = readFileSync(join(root, file), 'utf8');
  const problem = /\b(?:it|test|describe)\.only\(|\bonly: true\b/.test(source)
    ? 'has an exclusive test (.only)'
    : /^\s*(?:it|test)\(/m.test(source)
      ? undefined
      : 'has no test';
  if (problem !== undefined) console.error(`${file} ${problem}`);
  return problem === undefined;
}

function readOutcome(tap: string): Outcome {
  const count = (name: string): number =>
    Number(new RegExp(`^# ${name} (\\d+)$`, 'm').exec(tap)?.[1] ?? 0);
  return {
    passed: count('pass'),
    failed: count('fail') + count('cancelled'),
    skipped: count('skipped') + count('todo'),
  };
}

/** The named stages and, before each, what it needs. */
function chosen(names: readonly string[]): readonly Stage[] {
  if (names.length === 0) return stages;
  const wanted = new Set<string>();
  const want = (name: string): void => {
    const stage = stages.find(({ name: other }) => other === name);
    if (stage === undefined)
      throw new Error(`No stage ${name}: there are ${stages.map(s => s.name).join(', ')}.`);
    stage.needs.forEach(want);
    wanted.add(name);
  };
  names.forEach(want);
  return stages.filter(({ name }) => wanted.has(name));
}

async function runStage(stage: Stage, good: ReadonlySet<string>): Promise<Outcome> {
  const missing = stage.needs.filter(need => !good.has(need));
  if (missing.length === 0) return stage.run();
  console.error(`not run: ${missing.join(' and ')} failed`);
  return failedOne;
}

const total = { passed: 0, failed: 0, skipped: 0 };
const ended = new Set<string>();
const good = new Set<string>();
const lines: string[] = [];
await runAll(chosen(process.argv.slice(2)));
console.log(`\n${lines.join('\n')}\n\n${describe(total)}`);
process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1;

/** Each as soon as what it needs has ended and its cores are free. */
async function runAll(wanted: readonly Stage[]): Promise<void> {
  const waiting = [...wanted];
  const running = new Set<Promise<void>>();
  let free = cores;
  while (waiting.length > 0 || running.size > 0) {
    const isReady = (stage: Stage): boolean =>
      stage.cores <= free && stage.needs.every(need => ended.has(need));
    const [stage] = waiting.splice(waiting.findIndex(isReady) >>> 0, 1);
    if (stage) {
      free -= stage.cores;
      const run = tell(stage).finally(() => {
        running.delete(run);
        free += stage.cores;
      });
      running.add(run);
    } else if (running.size > 0) await Promise.race(running);
    else throw new Error(`Nothing can begin of ${waiting.map(({ name }) => name).join(', ')}.`);
  }
}

async function tell(stage: Stage): Promise<void> {
  console.log(`\n== ${stage.name}`);
  const start = Date.now();
  const outcome = await runStage(stage, good);
  ended.add(stage.name);
  if (outcome.failed === 0) good.add(stage.name);
  total.passed += outcome.passed;
  total.failed += outcome.failed;
  total.skipped += outcome.skipped;
  lines.push(`${stage.name}: ${describe(outcome)} (${((Date.now() - start) / 1000).toFixed(0)} s)`);
}

function describe({ passed, failed, skipped }: Outcome): string {
  return `${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`;
}
