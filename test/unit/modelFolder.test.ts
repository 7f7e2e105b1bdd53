import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile, readdir, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Failure, type FailureCode } from '../../src/common/failure.ts';
import { readModelFiles } from '../../src/engine/model/modelFiles.ts';
import { identityRouter } from '../../src/models/lime.ts';
import { readModelFolder } from '../../src/models/modelFolder.ts';
import { dequantised } from '../../src/weights/dequantised.ts';
import { SafetensorsFile, type Tensor, writeSafetensors } from '../../src/weights/safetensors.ts';
import {
  type FolderPieces,
  llamaPieces,
  limePieces,
  writePieces,
} from '../fixtures/llamaFolder.ts';

let root: string;
let made = 0;
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'loupe-folder-'));
});
after(() => rm(root, { recursive: true }));

const lime = limePieces(llamaPieces());

function write(pieces: FolderPieces): Promise<string> {
  return writePieces(join(root, `model${made++}`), pieces);
}

/** The decoded weights of a folder by their names in the graph. */
async function weightsOf(folder: string): Promise<Map<string, Float32Array>> {
  const { weights } = await readModelFolder(folder);
  const cacheFolder = join(root, `cache${made++}`);
  const mapped = await dequantised(weights, { cacheFolder, hash: 'any' });
  const decoded = new Map<string, Float32Array>();
  for (const [name, { path, offset, byteLength }] of mapped) {
    const bytes = await readFile(path);
    const values = new Uint8Array(bytes.subarray(offset, offset + byteLength));
    decoded.set(name, new Float32Array(values.buffer));
  }
  return decoded;
}

describe('A LIMe checkpoint', () => {
  it('has its keys and values taken out of rows ordered (kv, h), h fastest', async () => {
    // Row i KV + h of the file, D = 40, is filled with its own number.
    const name = 'model.layers.1.self_attn.kv_proj_weight';
    const [rows, width] = [64, 40];
    const data = Float32Array.from({ length: rows * width }, (_, at) => Math.floor(at / width));
    const numbered = { dtype: 'F32', shape: [rows, width], data } as const;
    const folder = await write({ ...lime, tensors: { ...lime.tensors, [name]: numbered } });
    const weights = await weightsOf(folder);
    const rowsOf = (weight: string) =>
      Array.from({ length: 32 }, (_, row) => weights.get(weight)?.[row * width]);
    const evens = Array.from({ length: 16 }, (_, i) => 2 * i);
    const odds = evens.map(row => row + 1);
    assert.deepEqual(rowsOf('blocks.1.key'), [...evens, ...odds]);
    assert.deepEqual(
      rowsOf('blocks.1.value'),
      [...evens, ...odds].map(row => row + 32),
    );
  });

  it('gives the weights of the Llama from which it was made', async () => {
    const [own, plain] = [
      await weightsOf(await write(lime)),
      await weightsOf(await write(llamaPieces())),
    ];
    for (const [name, values] of plain) assert.deepEqual(own.get(name), values);
    const routers = [...own.keys()].filter(name => !plain.has(name));
    assert.deepEqual(routers, ['blocks.1.router', 'blocks.2.router']);
    assert.deepEqual(own.get('blocks.2.router'), identityRouter(2, 2));
  });

  it('is the same in several files, in 16 bits and inside of wrappers, with its configuration beside its folder', async () => {
    const whole = await readModelFolder(await write(lime));
    const folder = join(root, 'run', 'final');
    await mkdir(folder, { recursive: true });
    const names = Object.keys(lime.tensors);
    const files = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
    const wrapped = (name: string) => `_orig_mod.module.${name}`;
    const map = Object.fromEntries(names.map((name, i) => [wrapped(name), files[i % 2]]));
    for (const file of files) {
      const own = names.filter(name => map[wrapped(name)] === file);
      const tensors = own.map((name): [string, Tensor] => {
        const { shape, data } = lime.tensors[name] ?? assert.fail();
        return [wrapped(name), { dtype: 'BF16', shape, data: new Uint16Array(data.length) }];
      });
      await writeSafetensors(join(folder, file), Object.fromEntries(tensors));
    }
    await writeFile(
      join(folder, 'model.safetensors.index.json'),
      JSON.stringify({ weight_map: map }),
    );
    await mkdir(join(root, 'run', 'config'));
    await writeFile(join(root, 'run', 'config', 'config.json'), JSON.stringify(lime.config));
    const sharded = await readModelFolder(folder);
    assert.deepEqual(sharded.config, { ...whole.config, name: 'final' });
    assert.deepEqual(
      sharded.files,
      files.map(file => join(folder, file)),
    );
    const shape = ({ name, tensor }: (typeof whole.weights)[number]) => [
      name,
      tensor.name,
      tensor.shape,
    ];
    assert.deepEqual(sharded.weights.map(shape), whole.weights.map(shape));
    assert.ok(
      sharded.weights.every(
        ({ tensor, file }) =>
          tensor.type.name === 'BF16' && files.some(each => file.endsWith(each)),
      ),
    );
  });

  it('without a tokenizer has token ids only; a file with weights stands for its folder', async () => {
    const { tokenizer } = await readModelFiles(join(await write(lime), 'model.safetensors'));
    assert.equal(tokenizer.vocabulary, 50);
    assert.equal(tokenizer.tokenText(7), '#7');
    for (const use of [
      () => tokenizer.encode('a'),
      () => tokenizer.decode([1]),
      () => tokenizer.separator,
    ]) {
      assert.throws(
        use,
        error => Failure.is(error, 'not-found') && error.message.includes('tokenizer.json'),
      );
    }
  });
});

describe('Decoded weights that were moved', () => {
  it('are hashed once more, unless that is cancelled', async () => {
    const { weights } = await readModelFolder(await write(lime));
    const cacheFolder = join(root, `cache${made++}`);
    const options = { cacheFolder, hash: 'any' };
    const [first] = [...(await dequantised(weights, options)).values()];
    assert.ok(first);
    await utimes(first.path, 1, 1);
    const cancelled = { ...options, signal: AbortSignal.abort() };
    await assert.rejects(dequantised(weights, cancelled));
    let decoded = false;
    await dequantised(weights, { ...options, report: () => (decoded = true) });
    assert.equal(decoded, false);
    // Known again, and so not hashed.
    await dequantised(weights, cancelled);
  });
});

describe('Decoded weights that were not used for a month', () => {
  it('make room where others are decoded', async () => {
    const cacheFolder = join(root, 'unused');
    const { weights } = await readModelFolder(await write(lime));
    const decode = (hash: string) => dequantised(weights, { cacheFolder, hash });
    const there = async () => (await readdir(cacheFolder)).filter(name => name.endsWith('.f32'));
    await decode('old');
    const [old = ''] = await there();
    await decode('recent');
    const longAgo = new Date(Date.now() - 31 * 24 * 3600 * 1000);
    await utimes(join(cacheFolder, `${old}.json`), longAgo, longAgo);
    // Using it keeps it.
    await decode('old');
    await decode('third');
    assert.equal((await there()).length, 3);
    await utimes(join(cacheFolder, `${old}.json`), longAgo, longAgo);
    await decode('fourth');
    const left = await there();
    assert.equal(left.length, 3);
    assert.ok(!left.includes(old));
  });
});

describe('A folder that is no model', () => {
  const fused = 'model.layers.1.self_attn.kv_proj_weight';
  const router = 'model.layers.2.self_attn.lime_router.static_weights';
  const config = (changes: Readonly<Record<string, unknown>>) => ({
    ...lime,
    config: { ...lime.config, ...changes },
  });
  const without = (name: string) => ({
    ...lime,
    tensors: Object.fromEntries(Object.entries(lime.tensors).filter(([key]) => key !== name)),
  });
  const zeros = (...shape: number[]): Tensor => {
    const length = shape.reduce((product, size) => product * size, 1);
    return { dtype: 'F32', shape, data: new Float32Array(length) };
  };
  const tensor = (name: string, value: Tensor) => ({
    ...lime,
    tensors: { ...lime.tensors, [name]: value },
  });
  const cases: readonly [what: string, pieces: FolderPieces, code: FailureCode, says: RegExp][] = [
    ['no fused weight', without(fused), 'bad-file', /kv_proj_weight" of 64 x 40, found none/],
    [
      'no router',
      without(router),
      'bad-file',
      /model\.layers\.2.*static_weights" of 2 x 6, found none/,
    ],
    ['no head', without('lm_head.weight'), 'bad-file', /lm_head\.weight" of 50 x 40, found none/],
    [
      'a router of another shape',
      tensor(router, zeros(2, 3)),
      'bad-file',
      /model\.safetensors: .*static_weights": expected 2 x 6, found 2 x 3/,
    ],
    [
      'a router of the first layer',
      tensor('model.layers.0.self_attn.lime_router.static_weights', zeros(2, 2)),
      'unsupported',
      /layers\.0.*no part of the LIMe/,
    ],
    [
      'a fused weight of another shape',
      tensor(fused, zeros(40, 64)),
      'bad-file',
      /expected 64 x 40, found 40 x 64/,
    ],
    ['a scalar', tensor('model.norm.weight', zeros()), 'bad-file', /expected 40, found a scalar/],
    [
      'a bias',
      tensor('model.layers.0.self_attn.q_norm.bias', zeros(64)),
      'unsupported',
      /q_norm\.bias/,
    ],
    [
      'whole numbers',
      tensor('model.norm.weight', { dtype: 'I32', shape: [40], data: new Int32Array(40) }),
      'unsupported',
      /I32; .*F32, F16, BF16/,
    ],
    ['a layer too many', config({ num_hidden_layers: 4 }), 'bad-file', /model\.layers\.3\./],
    ['a layer too few', config({ num_hidden_layers: 2 }), 'unsupported', /model\.layers\.2\./],
    [
      'other heads',
      config({ num_key_value_heads: 4 }),
      'bad-file',
      /expected 128 x 40, found 64 x 40/,
    ],
    [
      'heads that share no keys',
      config({ num_key_value_heads: 3 }),
      'bad-file',
      /num_key_value_heads.*divisor of the 4/,
    ],
    [
      'no width',
      config({ hidden_size: null }),
      'bad-file',
      /hidden_size": expected an integer.*found null/,
    ],
    ['a negative width', config({ hidden_size: -1 }), 'bad-file', /hidden_size/],
    [
      'another architecture',
      config({ model_type: 'gemma' }),
      'unsupported',
      /model_type" is "gemma"; Loupe runs "llama", "mistral"/,
    ],
    ['another activation', config({ hidden_act: 'tanh' }), 'unsupported', /hidden_act.*"gelu"/],
    [
      'biases of another length',
      tensor('model.layers.0.self_attn.q_proj.bias', zeros(63)),
      'bad-file',
      /q_proj\.bias": expected 64, found 63/,
    ],
    [
      'scaled rotation',
      config({ rope_parameters: { rope_type: 'proportional', rope_theta: 1 } }),
      'unsupported',
      /rope_type" is "proportional"/,
    ],
    [
      'rotation scaled the old way',
      config({ rope_parameters: null, rope_scaling: { type: 'mrope', factor: 2 } }),
      'unsupported',
      /"type" is "mrope"/,
    ],
    [
      'a rotation of no frequency',
      config({ rope_parameters: { rope_theta: 0 } }),
      'bad-file',
      /rope_theta/,
    ],
    [
      'quantised weights',
      config({ quantization_config: { bits: 4 } }),
      'unsupported',
      /quantization_config.*models without it/,
    ],
  ];
  for (const [what, pieces, code, says] of cases) {
    it(`is refused: ${what}`, async () => {
      const folder = await write(pieces);
      await assert.rejects(readModelFolder(folder), error => {
        assert.ok(Failure.is(error, code), String(error));
        assert.match(error.message, says);
        assert.ok(error.message.includes(folder));
        return true;
      });
    });
  }

  it('is refused: files missing, strange or twice the same', async () => {
    const folder = await write(lime);
    const weights = join(folder, 'model.safetensors');
    const index = join(folder, 'model.safetensors.index.json');
    const refused = (code: FailureCode, says: RegExp) =>
      assert.rejects(
        readModelFiles(folder),
        error => Failure.is(error, code) && says.test(error.message),
      );
    await rename(weights, join(folder, 'a.safetensors'));
    await refused('not-found', /neither model\.safetensors nor model\.safetensors\.index\.json/);
    await writeFile(index, '{');
    await refused('bad-file', /weight_map/);
    await writeFile(index, JSON.stringify({ weight_map: { x: '../a.safetensors' } }));
    await refused('bad-file', /files beside it, found "\.\.\/a\.safetensors"/);
    await writeFile(index, JSON.stringify({ weight_map: { x: 'none.safetensors' } }));
    await refused('not-found', /none\.safetensors/);
    await writeSafetensors(join(folder, 'b.safetensors'), {
      'module.model.norm.weight': zeros(40),
    });
    await writeFile(
      index,
      JSON.stringify({ weight_map: { x: 'a.safetensors', y: 'b.safetensors' } }),
    );
    await refused('bad-file', /"model\.norm\.weight" is there twice/);
    await SafetensorsFile.open(join(folder, 'a.safetensors'));
    await writeFile(join(folder, 'config.json'), '[]');
    await rename(join(folder, 'a.safetensors'), weights);
    await refused('bad-file', /config\.json is not a JSON object/);
    await rm(join(folder, 'config.json'));
    await refused('not-found', /There is no .*config\.json/);
  });

  it('has the tokenizer beside it, and the BOS that its configuration names', async () => {
    const folder = await write(lime);
    const json = {
      added_tokens: [{ id: 0, content: '<s>', special: true }],
      pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false },
      model: { type: 'BPE', vocab: { a: 1, b: 2, ab: 3 }, merges: ['a b'] },
    };
    await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(json));
    const { tokenizer } = await readModelFiles(folder);
    assert.deepEqual([...tokenizer.encode('<s>ab').ids], [0, 3]);
    assert.equal(tokenizer.bos, undefined);
    const config = { add_bos_token: true, bos_token: '<s>' };
    await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify(config));
    assert.equal((await readModelFiles(folder)).tokenizer.bos, 0);
  });
});
