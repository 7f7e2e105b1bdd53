import { mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Random } from '../src/common/random.ts';
import { float32ToBfloat16 } from '../test/fixtures/bfloat16.ts';
import { ModelRunner } from '../src/engine/model/modelRunner.ts';

/*
 * What a large model costs in memory: random weights in bfloat16 or float32, written to a temporary folder, opened and
 * run on 128 tokens in a process of their own.
 *
 *     npx tsx bench/memory.ts
 *
 * Prints the process' memory over the size of the weights, apart for what it allocated (anonymous) and for what is
 * mapped from the file and given back under pressure, and V8's part of it.
 */

interface Shape {
  readonly width: number;
  readonly feedForward: number;
  readonly layers: number;
}

const shapes: Readonly<Record<string, Shape & { readonly dtype: 'BF16' | 'F32' }>> = {
  '1 GB, bfloat16': { width: 1024, feedForward: 4096, layers: 28, dtype: 'BF16' },
  '1 GB, float32': { width: 1024, feedForward: 4096, layers: 13, dtype: 'F32' },
  '5 GB, bfloat16': { width: 2560, feedForward: 10240, layers: 24, dtype: 'BF16' },
};
const vocabulary = 32000;

const [asked, folder] = process.argv.slice(2);
if (asked !== undefined && folder !== undefined) await measure(asked, folder);
else await main();

async function main(): Promise<void> {
  const { spawnSync } = await import('node:child_process');
  for (const [name, shape] of Object.entries(shapes)) {
    const path = await mkdtemp(join(tmpdir(), 'loupe-large-'));
    try {
      await writeModel(path, shape);
      const args = ['--import', 'tsx', import.meta.filename, name, path];
      spawnSync(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    } finally {
      await rm(path, { recursive: true });
    }
  }
}

async function measure(name: string, path: string): Promise<void> {
  const before = await memory();
  const bytes = Number(await readFile(join(path, 'bytes'), 'utf8'));
  const model = await ModelRunner.open({ path, cacheFolder: join(path, 'cache'), threads: 2 });
  const opened = await memory();
  const tokenIds = Uint32Array.from({ length: 128 }, (_, i) => (i * 7919) % vocabulary);
  let started = performance.now();
  await model.run({ tokenIds, hooks: ['blocks.3.hook_resid_post'], head: 'loss', predictions: 5 });
  const first = performance.now() - started;
  started = performance.now();
  await model.run({ tokenIds, hooks: ['blocks.3.hook_resid_post'], head: 'loss', predictions: 5 });
  const again = performance.now() - started;
  const run = await memory();
  const of = (value: number) => `${(value / bytes).toFixed(2)} (${(value / 1e9).toFixed(2)} GB)`;
  const row = (what: string, now: Memory) =>
    `  ${what}: anonymous ${of(now.anonymous - before.anonymous)}, mapped ${of(now.mapped - before.mapped)}, V8 and its buffers ${of(now.v8)}`;
  console.log(`${name}: weights of ${(bytes / 1e9).toFixed(2)} GB; memory over that size:`);
  console.log(row('opened', opened));
  console.log(row('after two runs of 128 tokens', run));
  console.log(`  the largest ever resident ${of(process.resourceUsage().maxRSS * 1024)}`);
  console.log(
    `  first run over the second, ${(first / again).toFixed(2)}; ${model.info.precision}`,
  );
  await model.dispose();
}

interface Memory {
  readonly anonymous: number;
  readonly mapped: number;
  readonly v8: number;
}

async function memory(): Promise<Memory> {
  const rollup = await readFile('/proc/self/smaps_rollup', 'utf8');
  const of = (key: string) =>
    1024 * Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(rollup)?.[1]);
  const { heapUsed, external } = process.memoryUsage();
  return {
    anonymous: of('Anonymous'),
    mapped: of('Rss') - of('Anonymous'),
    v8: heapUsed + external,
  };
}

async function writeModel(
  path: string,
  shape: Shape & { readonly dtype: 'BF16' | 'F32' },
): Promise<void> {
  const { width, feedForward, layers, dtype } = shape;
  await mkdir(join(path, 'cache'));
  const config = {
    ...{ model_type: 'llama', hidden_size: width, intermediate_size: feedForward },
    ...{ num_hidden_layers: layers, num_attention_heads: width / 128, head_dim: 128 },
    ...{ vocab_size: vocabulary, max_position_embeddings: 2048, rms_norm_eps: 1e-5 },
    ...{ tie_word_embeddings: true },
  };
  await writeFile(join(path, 'config.json'), JSON.stringify(config));
  const matrices: [string, number[]][] = [['model.embed_tokens.weight', [vocabulary, width]]];
  for (let layer = 0; layer < layers; layer++) {
    const name = (part: string) => `model.layers.${layer}.${part}.weight`;
    for (const part of ['q_proj', 'k_proj', 'v_proj', 'o_proj']) {
      matrices.push([name(`self_attn.${part}`), [width, width]]);
    }
    matrices.push([name('mlp.gate_proj'), [feedForward, width]]);
    matrices.push([name('mlp.up_proj'), [feedForward, width]]);
    matrices.push([name('mlp.down_proj'), [width, feedForward]]);
    matrices.push([name('input_layernorm'), [width]], [name('post_attention_layernorm'), [width]]);
  }
  matrices.push(['model.norm.weight', [width]]);
  const size = dtype === 'F32' ? 4 : 2;
  let end = 0;
  const header = Object.fromEntries(
    matrices.map(([name, dims]) => {
      const start = end;
      end += dims.reduce((product, length) => product * length, size);
      return [name, { dtype, shape: dims, data_offsets: [start, end] }];
    }),
  );
  await writeFile(join(path, 'bytes'), String(end));
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const random = new Random(1);
  const values = Float32Array.from({ length: 1 << 20 }, () => random.normal() / Math.sqrt(width));
  const block = Buffer.from(dtype === 'F32' ? values.buffer : float32ToBfloat16(values).buffer);
  const file = await open(join(path, 'model.safetensors'), 'w');
  await file.write(Buffer.concat([length, json]));
  for (let at = 0; at < end; at += block.length) {
    await file.write(block.subarray(0, Math.min(block.length, end - at)));
  }
  await file.close();
}
