import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { bfloat16ToFloat32, float16ToFloat32, float32ToFloat16 } from '../../src/common/float16.ts';
import { float32ToBfloat16 } from '../fixtures/bfloat16.ts';
import { Failure } from '../../src/common/failure.ts';
import { ModelRunner } from '../../src/engine/model/modelRunner.ts';
import { SafetensorsFile, type Tensor, writeSafetensors } from '../../src/weights/safetensors.ts';
import { fixture } from './model.ts';

/** Weights in 16 bits are float32 numbers: the same model in float32, already rounded, is the oracle. */
let root: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'loupe-halves-'));
});
after(() => rm(root, { recursive: true }));

type Round = (values: Float32Array) => {
  dtype: 'F16' | 'BF16';
  bits: Uint16Array;
  values: Float32Array;
};

const rounded: Record<string, Round> = {
  float16: values => {
    const bits = float32ToFloat16(values);
    return { dtype: 'F16', bits, values: float16ToFloat32(bits) };
  },
  bfloat16: values => {
    const bits = float32ToBfloat16(values);
    return { dtype: 'BF16', bits, values: bfloat16ToFloat32(bits) };
  },
};

/** The model of a fixture in 16 bits and two files, and in float32 of the same values. */
async function write(
  name: string,
  kind: string,
  round: Round,
): Promise<{ halves: string; floats: string }> {
  const from = fixture(`architectures/${name}`);
  const file = await SafetensorsFile.open(join(from, 'model.safetensors'));
  const [halves, floats] = [join(root, `${name}.${kind}`), join(root, `${name}.${kind}.float32`)];
  const parts: [Record<string, Tensor>, Record<string, Tensor>] = [{}, {}];
  const whole: Record<string, Tensor> = {};
  const map: Record<string, string> = {};
  for (const [i, tensor] of [...file.tensors.keys()].entries()) {
    const { shape } = await file.read(tensor);
    const { dtype, bits, values } = round(await file.readFloat32(tensor));
    parts[i % 2 === 0 ? 0 : 1][tensor] = { dtype, shape, data: bits };
    whole[tensor] = { dtype: 'F32', shape, data: values };
    map[tensor] = `model-0000${1 + (i % 2)}-of-00002.safetensors`;
  }
  for (const folder of [halves, floats]) {
    await mkdir(folder);
    await copyFile(join(from, 'config.json'), join(folder, 'config.json'));
  }
  for (const [i, part] of parts.entries()) {
    await writeSafetensors(join(halves, `model-0000${i + 1}-of-00002.safetensors`), part);
  }
  await writeFile(
    join(halves, 'model.safetensors.index.json'),
    JSON.stringify({ weight_map: map }),
  );
  await writeSafetensors(join(floats, 'model.safetensors'), whole);
  return { halves, floats };
}

const tokenIds = Uint32Array.of(3, 1, 4, 1, 5, 9, 2, 6);

for (const name of ['gpt2', 'gpt_neox', 'gemma3', 'phi3', 'qwen2']) {
  for (const [kind, round] of Object.entries(rounded)) {
    it(`${name} in ${kind}, in two files, computes what it does in float32, and copies nothing`, async () => {
      const { halves, floats } = await write(name, kind, round);
      const cacheFolder = join(root, `cache.${name}.${kind}`);
      const results = [];
      for (const path of [halves, floats]) {
        const model = await ModelRunner.open({ path, cacheFolder, threads: 1 });
        const hooks = ['blocks.1.hook_resid_post', 'blocks.1.attn.hook_q'] as const;
        results.push(await model.run({ tokenIds, hooks, head: 'logits' }));
        const expected = path === halves ? /^float32, weights held as (B?F16)$/ : /^float32$/;
        assert.match(model.info.precision, expected);
        await model.dispose();
      }
      const [half, whole] = results;
      assert.ok(half?.logits && whole?.logits);
      // Products of weights that are not constants are summed in another order.
      const scale = Math.max(...whole.logits.map(Math.abs));
      for (const [i, value] of whole.logits.entries()) {
        assert.ok(Math.abs(value - (half.logits[i] ?? NaN)) < 2e-6 * scale, `logit ${i}`);
      }
      const decoded = (await readdir(cacheFolder)).filter(file => file.endsWith('.f32'));
      assert.deepEqual(decoded, []);
    });
  }
}

describe('A weight in 16 bits that is not finite', () => {
  it('is refused with its name, before anything runs', async () => {
    const { halves } = await write('olmo2', 'bfloat16', values => {
      const bits = float32ToBfloat16(values);
      if (values.length === 24) bits[5] = 0x7fc0;
      return { dtype: 'BF16', bits, values };
    });
    await assert.rejects(
      ModelRunner.open({ path: halves, cacheFolder: join(root, 'cache'), threads: 1 }),
      error =>
        Failure.is(error, 'bad-file') &&
        /tensor "model\..*norm.*finite bfloat16/.test(error.message),
    );
    assert.ok((await stat(halves)).isDirectory());
  });
});
