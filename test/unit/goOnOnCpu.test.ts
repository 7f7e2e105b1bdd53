import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { goOnOnCpu } from '../../src/cli/goOnOnCpu.ts';
import { Failure } from '../../src/common/failure.ts';

const request = {
  model: { path: 'm', cacheFolder: 'c', threads: 1, device: 'webgpu' as const },
  tensorflow: { path: '/there' },
};

describe('goOnOnCpu', () => {
  it('does the work again on the CPU where its device is lost, and says so', async () => {
    const asked: unknown[] = [];
    const said: string[] = [];
    const result = await goOnOnCpu(
      request,
      ({ model, tensorflow }) => {
        asked.push([model.device, tensorflow]);
        const lost = new Failure('device-lost', 'WebGPU failed: it is gone.');
        return asked.length === 1 ? Promise.reject(lost) : Promise.resolve('done');
      },
      line => void said.push(line),
    );
    assert.equal(result, 'done');
    assert.deepEqual(asked, [
      ['webgpu', { path: '/there' }],
      ['cpu', undefined],
    ]);
    assert.deepEqual(said, [
      'WebGPU failed: it is gone. The CPU goes on from the last checkpoint.',
    ]);
  });

  it('lets any other failure through, and a second loss', async () => {
    for (const code of ['mismatch', 'device-lost'] as const) {
      let calls = 0;
      const work = (): Promise<never> => {
        calls++;
        return Promise.reject(new Failure(code, 'no'));
      };
      await assert.rejects(
        goOnOnCpu(request, work, () => undefined),
        { code },
      );
      assert.equal(calls, code === 'mismatch' ? 1 : 2);
    }
  });
});
