import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';

const root = join(import.meta.dirname, '../..');
const program = `
  import { Graph } from './src/onnx/graph.ts';
  import { openSession } from './src/engine/sessions/session.ts';
import { Tensor } from './src/engine/sessions/tensors.ts';
  const graph = new Graph();
  graph.output(graph.op('Relu', [graph.input('x', 'float32', [2])]), 'y', 'float32', [2]);
  const session = await openSession(graph.bytes(), { threads: 1 });
  const { y } = await session.run({ x: new Tensor('float32', new Float32Array([-1, 2]), [2]) });
  console.log([...y.data].join());
`;

it('a run leaves no trace of usage in the home folder, where onnxruntime would collect it', () => {
  const home = mkdtempSync(join(tmpdir(), 'loupe-home-'));
  try {
    const answer = execFileSync(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '--eval', program],
      {
        cwd: root,
        env: { ...process.env, HOME: home, XDG_CACHE_HOME: '', TMPDIR: home },
        encoding: 'utf8',
      },
    );
    assert.equal(answer.trim(), '0,2');
    const left = readdirSync(home, { recursive: true, encoding: 'utf8' });
    assert.deepEqual(
      left.filter(name => /microsoft|onnxruntime/i.test(name)),
      [],
    );
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});
