import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import { Random } from '../../src/common/random.ts';
import { readSaeLens, writeSaeLens } from '../../src/saes/formats/saelens.ts';
import { parseSaeLensConfig } from '../../src/saes/formats/saelensConfig.ts';
import { readDictionary } from '../../src/saes/readDictionary.ts';
import { SafetensorsFile, writeSafetensors, type Tensor } from '../../src/weights/safetensors.ts';
import { failure } from '../fixtures/failsWith.ts';

const fixtures = join(import.meta.dirname, '../fixtures/saelens');

let root = '';
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'loupe-saelens-'));
});
after(async () => rm(root, { recursive: true, force: true }));

type Json = Record<string, unknown>;

/** A copy of a fixture with its configuration and tensors changed. */
async function altered(
  kind: string,
  changeConfig: (cfg: Json) => void,
  changeTensors: (tensors: Record<string, Tensor>) => void = () => undefined,
): Promise<string> {
  const folder = await mkdtemp(join(root, 'sae-'));
  const cfg = JSON.parse(await readFile(join(fixtures, kind, 'cfg.json'), 'utf8')) as Json;
  changeConfig(cfg);
  await writeFile(join(folder, 'cfg.json'), JSON.stringify(cfg));
  const file = await SafetensorsFile.open(join(fixtures, kind, 'sae_weights.safetensors'));
  const tensors: Record<string, Tensor> = {};
  for (const name of file.tensors.keys()) tensors[name] = await file.read(name);
  changeTensors(tensors);
  await writeSafetensors(join(folder, 'sae_weights.safetensors'), tensors);
  return folder;
}

const set = (key: string, value: unknown) => (cfg: Json) => {
  cfg[key] = value;
};
const setMetadata = (key: string, value: unknown) => (cfg: Json) => {
  (cfg['metadata'] as Json)[key] = value;
};

describe('a cfg.json that cannot be used', () => {
  const cases: [what: string, change: (cfg: Json) => void, code: string, ...says: string[]][] = [
    ['d_in of another width', set('d_in', 13), 'bad-file', 'W_enc', '[12, 40]', '[13, 40]'],
    ['d_sae of another width', set('d_sae', 41), 'bad-file', 'W_enc', '[12, 40]', '[12, 41]'],
    ['d_in of 0', set('d_in', 0), 'bad-file', 'cfg.json', '"d_in": 0', 'above 0'],
    ['d_sae beyond memory', set('d_sae', 1e300), 'bad-file', '"d_sae": 1e+300'],
    ['d_in as text', set('d_in', '12'), 'bad-file', '"d_in": "12"'],
    ['no d_in', set('d_in', undefined), 'bad-file', '"d_in": nothing'],
    ['no k', set('k', undefined), 'bad-file', '"k": nothing'],
    ['k of 2.5', set('k', 2.5), 'bad-file', '"k": 2.5'],
    ['k above d_sae', set('k', 41), 'bad-file', '"k": 41', 'at most d_sae, 40'],
    [
      'an unknown architecture',
      set('architecture', 'temporal'),
      'unsupported',
      '"temporal"',
      '"gated"',
    ],
    ['a number as architecture', set('architecture', 7), 'bad-file', '"architecture": 7'],
    [
      'another normalisation',
      set('normalize_activations', 'covariance_whitening'),
      'unsupported',
      'covariance_whitening',
    ],
    [
      'a scale that is not stored',
      set('normalize_activations', 'expected_average_only_in'),
      'unsupported',
      'activation_scaler.json',
    ],
    [
      'heads to flatten where there are none',
      set('reshape_activations', 'hook_z'),
      'bad-file',
      'hook_z',
      'hook_resid_post',
    ],
    ['one head only', setMetadata('hook_head_index', 3), 'unsupported', 'hook_head_index', '3'],
    [
      'a transcoder that takes its output from its input',
      cfg => {
        Object.assign(cfg, { architecture: 'transcoder', apply_b_dec_to_input: true });
      },
      'bad-file',
      'apply_b_dec_to_input',
      'transcoder',
    ],
    [
      'a flag as text',
      set('apply_b_dec_to_input', 'no'),
      'bad-file',
      '"apply_b_dec_to_input": "no"',
    ],
    [
      'a hook that Loupe has not',
      setMetadata('hook_name', 'blocks.1.attn.hook_result'),
      'unsupported',
      'blocks.1.attn.hook_result',
    ],
    ['no hook', setMetadata('hook_name', undefined), 'bad-file', 'no hook_name'],
    [
      'another architecture than the tensors',
      set('architecture', 'jumprelu'),
      'bad-file',
      'no tensor threshold',
      '[40]',
    ],
  ];
  for (const [what, change, code, ...says] of cases) {
    it(what, async () => {
      await assert.rejects(readSaeLens(await altered('topk', change)), failure(code, ...says));
    });
  }

  it('no JSON, no object, none, and one of 17 MB', async () => {
    const folder = await altered('topk', () => undefined);
    const path = join(folder, 'cfg.json');
    for (const [text, code] of [
      ['{', 'bad-file'],
      ['[]', 'bad-file'],
      ['null', 'bad-file'],
      [' '.repeat(17e6), 'too-large'],
    ] as const) {
      await writeFile(path, text);
      await assert.rejects(readSaeLens(folder), failure(code, path));
    }
    await unlink(path);
    await assert.rejects(readSaeLens(folder), failure('not-found', path));
    await assert.rejects(readDictionary(join(folder, 'nowhere')), failure('not-found', 'nowhere'));
  });
});

describe('tensors that cannot be used', () => {
  const keep = () => undefined;
  const cases: [
    what: string,
    kind: string,
    change: (t: Record<string, Tensor>) => void,
    code: string,
    ...says: string[],
  ][] = [
    [
      'one missing',
      'topk',
      t => {
        delete t['b_dec'];
      },
      'bad-file',
      'no tensor b_dec',
      '[12]',
    ],
    [
      'one too many',
      'topk',
      t => {
        t['W_skip'] = { dtype: 'F32', shape: [1], data: Float32Array.of(1) };
      },
      'unsupported',
      'W_skip',
    ],
    [
      'transposed',
      'topk',
      t => {
        if (t['W_enc']) t['W_enc'] = { ...t['W_enc'], shape: [40, 12] };
      },
      'bad-file',
      'W_enc',
      '[40, 12]',
      '[12, 40]',
    ],
    [
      'of one dimension',
      'topk',
      t => {
        if (t['W_dec']) t['W_dec'] = { ...t['W_dec'], shape: [480] };
      },
      'bad-file',
      'W_dec',
      '[480]',
    ],
    [
      'of integers',
      'topk',
      t => {
        t['b_enc'] = { dtype: 'I32', shape: [40], data: new Int32Array(40) };
      },
      'bad-file',
      'b_enc',
      'I32',
      'F32',
    ],
    [
      'with NaN',
      'gated',
      t => {
        t['r_mag'] = { dtype: 'F32', shape: [40], data: new Float32Array(40).fill(NaN, 7) };
      },
      'bad-file',
      'r_mag',
      'NaN at 7',
    ],
    [
      'with infinity',
      'jumprelu',
      t => {
        t['threshold'] = { dtype: 'F16', shape: [40], data: new Uint16Array(40).fill(0x7c00) };
      },
      'bad-file',
      'threshold',
      'Infinity at 0',
    ],
    [
      'with a scale other than 1',
      'standard',
      t => {
        t['scaling_factor'] = { dtype: 'F32', shape: [40], data: new Float32Array(40).fill(2) };
      },
      'unsupported',
      'scaling_factor',
    ],
  ];
  for (const [what, kind, change, code, ...says] of cases) {
    it(what, async () => {
      await assert.rejects(
        readSaeLens(await altered(kind, keep, change)),
        failure(code, 'sae_weights.safetensors', ...says),
      );
    });
  }

  it('of ones as a scale change nothing', async () => {
    const folder = await altered('standard', keep, t => {
      t['scaling_factor'] = { dtype: 'F32', shape: [40], data: new Float32Array(40).fill(1) };
    });
    const { encoder } = await readSaeLens(join(fixtures, 'standard'));
    assert.deepEqual((await readSaeLens(folder)).encoder, encoder);
  });

  it('beyond float16 are not written in float16', async () => {
    const dictionary = await readSaeLens(join(fixtures, 'topk'));
    const decoder = dictionary.decoder.slice().fill(70000, 0, 1);
    await assert.rejects(
      writeSaeLens({ ...dictionary, decoder }, join(root, 'huge'), 'F16'),
      failure('unsupported', 'float16'),
    );
  });
});

describe('random alterations', () => {
  const random = new Random(7);
  const alter = (original: Buffer, within: number): Buffer => {
    const bytes = Buffer.from(original);
    const reach = Math.min(bytes.length, within);
    for (let n = 1 + random.below(3); n > 0; n--) bytes[random.below(reach)] = random.below(256);
    return random.below(5) === 0 ? bytes.subarray(0, random.below(bytes.length)) : bytes;
  };
  const refuses = (error: unknown): number => {
    assert.ok(error instanceof Failure && error.code !== 'internal', String(error));
    return 1;
  };

  it('of a cfg.json, 2,000 of them, give a Failure or a configuration, never another error', async () => {
    const original = await readFile(join(fixtures, 'topk/cfg.json'));
    let refused = 0;
    for (let round = 0; round < 2000; round++) {
      try {
        const { width, inputWidth, k } = parseSaeLensConfig(
          alter(original, 1e9).toString(),
          'cfg.json',
        );
        assert.ok(Number.isInteger(width) && Number.isInteger(inputWidth) && k <= width);
      } catch (error) {
        refused += refuses(error);
      }
    }
    assert.ok(refused > 800, `only ${refused} of 2000 were refused`);
  });

  it('of the weights, 300 of them, give a Failure or an SAE, never another error', async () => {
    const folder = await altered('topk', () => undefined);
    const path = join(folder, 'sae_weights.safetensors');
    const original = await readFile(path);
    let refused = 0;
    for (let round = 0; round < 300; round++) {
      await writeFile(path, alter(original, 500));
      try {
        const dictionary = await readSaeLens(folder);
        assert.equal(dictionary.encoder.length, dictionary.width * dictionary.inputWidth);
      } catch (error) {
        refused += refuses(error);
      }
    }
    assert.ok(refused > 150, `only ${refused} of 300 were refused`);
  });
});
