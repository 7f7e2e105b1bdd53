import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import { Random } from '../../src/common/random.ts';
import { readModelFiles } from '../../src/engine/model/modelFiles.ts';

const rounds = 10_000;
/** One reading may take this long at most, milliseconds: a hang, not a benchmark. */
const patience = 1000;
const fixtures = fileURLToPath(new URL('../fixtures/architectures', import.meta.url));
const names = readdirSync(fixtures);

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loupe-fuzz-'));
});
after(() => rm(folder, { recursive: true }));

interface Outcome {
  read: number;
  readonly codes: Set<string>;
}

/** Reads what is written: it is read, or refused with a code and a sentence, soon. */
async function tried(path: string, outcome: Outcome): Promise<void> {
  const started = performance.now();
  try {
    await readModelFiles(path);
    outcome.read++;
  } catch (error) {
    assert.ok(error instanceof Failure, String(error));
    assert.notEqual(error.code, 'internal', error.message);
    assert.ok(error.message.length < 4000);
    outcome.codes.add(error.code);
  }
  assert.ok(performance.now() - started < patience, path);
}

function mutated(bytes: Uint8Array, random: Random, header: number): Uint8Array {
  const altered = new Uint8Array(bytes);
  const kind = random.below(4);
  if (kind === 0) return altered.subarray(0, random.below(header));
  for (let flips = 1 + random.below(4); flips > 0; flips--) {
    const at = random.below(header);
    // Single bits, whole bytes, and words that are counts or offsets elsewhere.
    if (kind === 1) altered[at] = (altered[at] ?? 0) ^ (1 << random.below(8));
    else if (kind === 2) altered[at] = random.below(256);
    else altered.fill(random.below(2) ? 255 : 0, at, at + 8);
  }
  return altered;
}

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
const others: readonly Json[] = [
  ...[null, true, false, -1, 0, 1, 2, 3, 7, 1.5, 2 ** 31, 2 ** 53, 1e300, -1e300],
  ...['', 'x', 'silu', 'longrope', [], {}, [1], ['sliding_attention'], { rope_type: 'llama3' }],
];

/** One to three values somewhere in the configuration become others, or go. */
function altered(config: Json, random: Random): Json {
  const copy = structuredClone(config);
  for (let changes = 1 + random.below(3); changes > 0; changes--) {
    let at: Json = copy;
    for (;;) {
      if (typeof at !== 'object' || at === null) break;
      const keys = Object.keys(at);
      const key = keys[random.below(Math.max(1, keys.length))];
      if (key === undefined) break;
      const holder = at as Record<string, Json>;
      const inner: Json | undefined = holder[key];
      if (typeof inner === 'object' && inner !== null && random.below(3) > 0) {
        at = inner;
        continue;
      }
      const other = others[random.below(others.length)];
      if (other === undefined || random.below(8) === 0) Reflect.deleteProperty(holder, key);
      else holder[key] = structuredClone(other);
      break;
    }
  }
  return copy;
}

describe(`${rounds} altered files of each kind are read or refused`, () => {
  it('GGUF files of every architecture', async t => {
    const files = names.map(name => join(fixtures, name, 'model.gguf')).filter(existsSync);
    const models = files.map(file => readFileSync(file));
    const outcome: Outcome = { read: 0, codes: new Set() };
    const random = new Random(3);
    const path = join(folder, 'model.gguf');
    for (let round = 0; round < rounds; round++) {
      const bytes = models[round % models.length] ?? assert.fail();
      await writeFile(path, mutated(bytes, random, Math.min(bytes.length, 4500)));
      await tried(path, outcome);
    }
    t.diagnostic(`${outcome.read} read, refused as ${[...outcome.codes].join(', ')}`);
    assert.ok(outcome.read < rounds / 2);
  });

  for (const kind of ['config.json', 'model.safetensors'] as const) {
    it(`folders of every architecture with another ${kind}`, async t => {
      const outcome: Outcome = { read: 0, codes: new Set() };
      const random = new Random(4);
      for (let round = 0; round < rounds; round++) {
        const nameAt = (of: number) => Math.floor((of * names.length) / rounds);
        const isNext = round === 0 || nameAt(round) !== nameAt(round - 1);
        const from = join(fixtures, names[nameAt(round)] ?? '');
        const config = readFileSync(join(from, 'config.json'), 'utf8');
        if (isNext || kind !== 'config.json') {
          const weights = readFileSync(join(from, 'model.safetensors'));
          const header = 8 + Number(weights.readBigUInt64LE(0));
          const bytes = kind === 'config.json' ? weights : mutated(weights, random, header);
          await writeFile(join(folder, 'model.safetensors'), bytes);
        }
        const json: unknown = JSON.parse(config);
        const other = kind === 'config.json' ? altered(json as Json, random) : json;
        await writeFile(join(folder, 'config.json'), JSON.stringify(other));
        await tried(folder, outcome);
      }
      t.diagnostic(`${outcome.read} read, refused as ${[...outcome.codes].join(', ')}`);
      assert.ok(outcome.read < rounds / 2);
    });
  }
});
