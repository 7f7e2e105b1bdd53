import assert from 'node:assert/strict';
import { access, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { buildKernel } from '../../scripts/buildKernel.mjs';
import { boostCommand } from '../../src/cli/boost.ts';
import { Failure, type FailureCode } from '../../src/common/failure.ts';
import { Gate } from '../../src/common/gate.ts';
import type { BoostReport } from '../../src/contracts/boostReport.ts';
import type { BoostProgress, BoostRequest } from '../../src/contracts/trainer.ts';
import { boost } from '../../src/engine/boost/boost.ts';
import type { Dictionary } from '../../src/saes/dictionary.ts';
import { dictionaryHash } from '../../src/saes/dictionaryHash.ts';
import { readFeatureTable } from '../../src/saes/featureTable.ts';
import { readSaeLens, writeSaeLens } from '../../src/saes/formats/saelens.ts';
import { requireResidual } from '../../src/saes/requireResidual.ts';
import { SafetensorsFile } from '../../src/weights/safetensors.ts';
import { randomDictionary } from '../unit/dictionaries.ts';
import { modelRequest } from './model.ts';
import { changeBase, tinyBoost, tinyWidth } from './tinyBoost.ts';

let root: string;
let asked: BoostRequest;
before(async () => {
  await buildKernel();
  root = await mkdtemp(join(tmpdir(), 'loupe-boost-'));
  asked = await tinyBoost(root);
});
after(() => rm(root, { recursive: true, force: true }));

const options = () => ({
  signal: new AbortController().signal,
  gate: new Gate(),
  report: () => undefined,
});

function refused(code: FailureCode, says = /./) {
  return (error: unknown) => Failure.is(error, code) && says.test(error.message);
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** What a training leaves for others. */
async function bytesOf(folder: string): Promise<Buffer[]> {
  const files = [
    'cfg.json',
    'sae_weights.safetensors',
    'features.safetensors',
    'report.json',
    'report.md',
  ];
  return Promise.all(files.map(file => readFile(join(folder, file))));
}

function runCommand(folder: string) {
  return boostCommand.run({
    values: {
      model: asked.model.path,
      cache: asked.model.cacheFolder,
      threads: '2',
      base: asked.basePath,
      'base-k': '8',
      text: asked.corpus.roots,
      general: asked.generalPaths,
      name: 'chemistry',
      ...{ width: '64', k: '3', tokens: '6400', out: folder },
    },
    positionals: [],
    signal: new AbortController().signal,
    log: () => undefined,
  });
}

describe('loupe boost', () => {
  it('leaves a residual SAE without decoder bias that names its base, feature cards and a report', async () => {
    const folder = join(root, 'command');
    const { residual, ...report } = (await runCommand(folder)) as BoostReport & {
      readonly residual: string;
    };
    assert.equal(residual, folder);
    assert.deepEqual(JSON.parse(await readFile(join(folder, 'report.json'), 'utf8')), report);
    const cfg = JSON.parse(await readFile(join(folder, 'cfg.json'), 'utf8')) as {
      readonly architecture: string;
      readonly metadata: { readonly loupe: object; readonly training_tokens: number };
    };
    const base = await readSaeLens(asked.basePath);
    const named = { name: base.name, hash: dictionaryHash(base), k: 8 };
    assert.equal(cfg.architecture, 'jumprelu');
    assert.equal(cfg.metadata.training_tokens, 6400);
    assert.deepEqual((cfg.metadata.loupe as { readonly base: object }).base, named);
    const weights = await SafetensorsFile.open(join(folder, 'sae_weights.safetensors'));
    const bias = await weights.readFloat32('b_dec');
    assert.ok(bias.length === tinyWidth && bias.every(value => value === 0));
    for (const { folder: variant } of report.variants)
      requireResidual(await readSaeLens(join(folder, variant)), base, named.hash);
    const table = await readFeatureTable(folder, 64);
    assert.equal(table?.density.length, 64);
    assert.equal(await isThere(join(folder, 'activations')), false);
    checkReport(report, base);
    assert.match(boostCommand.format({ residual, ...report }), /plain.*\(in use\)/);
  });

  /** Figures that follow from one another, and places that open at their tokens. */
  function checkReport(report: BoostReport, base: Dictionary): void {
    assert.deepEqual([report.format, report.width, report.k], [1, 64, 3]);
    assert.equal(report.trainedTokens, 6400);
    assert.deepEqual(
      report.variants.map(({ name }) => name),
      ['plain', 'calibrated'],
    );
    for (const { domain, general } of report.variants) {
      for (const { base: alone, boosted, clean, zero, evChange, deltaCeChange } of [
        domain,
        general,
      ]) {
        for (const { ce, deltaCe, score } of [alone, boosted]) {
          assert.equal(deltaCe, ce - clean);
          assert.equal(score, (zero - ce) / (zero - clean));
        }
        assert.deepEqual([alone.l0, alone.residualL0], [8, 0]);
        assert.equal(evChange, (boosted.ev - alone.ev) / alone.ev);
        assert.equal(deltaCeChange, (boosted.deltaCe - alone.deltaCe) / alone.deltaCe);
      }
      assert.ok(domain.boosted.ev > domain.base.ev, `${domain.boosted.ev}, ${domain.base.ev}`);
      assert.ok(domain.boosted.residualL0 > 1.5 && domain.boosted.residualL0 < 4.5);
    }
    assert.ok(report.features.length > 5);
    for (const { examples, nearest, maxActivation, domainDensity } of report.features) {
      assert.equal(examples[0]?.activation, maxActivation);
      assert.ok(domainDensity > 0 && domainDensity <= 1);
      assert.equal(nearest.length, 3);
      assert.ok(
        nearest.every(({ feature, cosine }) => feature < base.width && Math.abs(cosine) <= 1),
      );
    }
    const shrunk = report.improved.map(({ errorBefore, errorAfter }) => errorBefore - errorAfter);
    assert.ok(shrunk.length > 5 && shrunk.every(by => by > 0));
    assert.deepEqual(
      shrunk,
      [...shrunk].sort((a, b) => b - a),
    );
  }

  it('opens the tokens of its report at their places in the file', async () => {
    const [path = ''] = asked.corpus.roots;
    const text = await readFile(path, 'utf8');
    const report = await boost({ ...asked, folder: join(root, 'command') }, options());
    const tokens = [...report.improved, ...report.features.flatMap(({ examples }) => examples)];
    for (const { token, before: context, place } of tokens) {
      assert.equal(place?.path, path);
      assert.equal(text.slice(place.start, place.start + token.length), token);
      assert.ok(text.slice(0, place.start).endsWith(context));
    }
  });

  it('run again on the same folder, trains nothing and gives the same bytes', async () => {
    const folder = join(root, 'again');
    const request = { ...asked, folder };
    await boost(request, options());
    const [first, command] = [await bytesOf(folder), await bytesOf(join(root, 'command'))];
    assert.deepEqual(first, command);
    const told: BoostProgress[] = [];
    await boost(request, { ...options(), report: progress => told.push(progress) });
    assert.deepEqual(await bytesOf(folder), first);
    assert.ok(told.some(({ phase }) => phase === 'training'));
    assert.ok(told.every(({ step }) => step === 0));
    assert.ok(told.every(({ fraction }) => fraction >= 0 && fraction <= 1));
  });

  it('stopped and taken up again, gives the same bytes', async () => {
    const request = { ...asked, folder: join(root, 'stopped') };
    const stop = new AbortController();
    const stopped = boost(request, {
      ...options(),
      signal: stop.signal,
      checkpointSeconds: 0,
      report: ({ step }) => {
        if (step > 0) stop.abort(new Failure('cancelled', 'Stopped.'));
      },
    });
    await assert.rejects(stopped, refused('cancelled'));
    assert.ok(await isThere(join(request.folder, 'checkpoints')));
    assert.ok(await isThere(join(request.folder, 'activations')));
    await boost(request, options());
    assert.deepEqual(await bytesOf(request.folder), await bytesOf(join(root, 'command')));
  });

  it('takes no other text, base or settings for a training that is there, finished or not', async () => {
    for (const name of ['command', 'begun']) {
      const folder = join(root, name);
      if (name === 'begun') await begin({ ...asked, folder });
      const attempt = (changes: Partial<BoostRequest>) =>
        boost({ ...asked, folder, ...changes }, options());
      const corpus = { ...asked.corpus, roots: asked.generalPaths };
      await assert.rejects(attempt({ corpus }), refused('mismatch', /another text/));
      await assert.rejects(attempt({ baseK: 4 }), refused('mismatch', /base/));
      await assert.rejects(attempt({ width: 65 }), refused('mismatch', /features = 64, not 65/));
    }
  });

  /** Stops a training in its first steps. */
  async function begin(request: BoostRequest): Promise<void> {
    const stop = new AbortController();
    const begun = boost(request, {
      ...options(),
      signal: stop.signal,
      report: ({ step }) => {
        if (step > 0) stop.abort(new Failure('cancelled', 'Stopped.'));
      },
    });
    await assert.rejects(begun, refused('cancelled'));
  }

  it('gives the same residual SAE where the disk has room for some activations or for none', async () => {
    const folder = join(root, 'no room');
    await boost({ ...asked, folder, diskBytes: 40 * 32 * tinyWidth * 8 }, options());
    const [cfg, weights] = await bytesOf(folder);
    const [otherCfg, otherWeights] = await bytesOf(join(root, 'command'));
    assert.ok(cfg && weights && otherCfg?.equals(cfg) && otherWeights?.equals(weights));
  });

  it('trains a mixed one as well where asked, and measures with other domains', async () => {
    const folder = join(root, 'mixed');
    const otherDomains = [join(root, 'command')];
    const told: BoostProgress[] = [];
    const report = await boost(
      { ...asked, folder, name: 'second', otherDomains, mixGeneral: 0.2, seed: 1 },
      { ...options(), report: progress => told.push(progress) },
    );
    const training = told.filter(({ phase }) => phase === 'training');
    const fractions = training.map(({ fraction }) => fraction);
    assert.deepEqual(
      fractions,
      fractions.toSorted((a, b) => a - b),
      'both trainings are one phase',
    );
    assert.ok(training.every(({ secondsLeft }) => secondsLeft !== null));
    assert.deepEqual(
      report.variants.map(variant => [variant.name, variant.folder]),
      [
        ['plain', 'plain'],
        ['calibrated', 'calibrated'],
        ['mixed', '.'],
      ],
    );
    const plain = await readSaeLens(join(folder, 'plain'));
    const calibrated = await readSaeLens(join(folder, 'calibrated'));
    const mixed = await readSaeLens(folder);
    assert.deepEqual(calibrated.decoder, plain.decoder);
    assert.notDeepEqual(mixed.decoder, plain.decoder);
    for (const { subsets, domain } of report.variants) {
      assert.deepEqual(
        subsets.map(({ domains }) => domains),
        [['chemistry'], ['second', 'chemistry']],
      );
      assert.ok(subsets.every(subset => subset.domain.residualL0 > 0));
      assert.ok((subsets[1]?.domain.l0 ?? 0) > domain.boosted.l0);
    }
    const [first, second] = report.variants;
    assert.deepEqual(first?.subsets[0], second?.subsets[0]);
  });

  it('trains on the error of a base that fires by thresholds', async () => {
    for (const rule of ['relu', 'jumprelu', 'gated'] as const) {
      const basePath = join(root, rule);
      const base = randomDictionary({ seed: 5, width: 80, inputWidth: tinyWidth, rule });
      await writeSaeLens({ ...base, subtractDecoderBias: rule === 'relu' }, basePath);
      await changeBase(basePath, {});
      const report = await boost(
        { ...asked, basePath, folder: join(root, `on ${rule}`) },
        options(),
      );
      assert.equal(report.base.k, null);
      const [plain] = report.variants;
      assert.ok(plain && plain.domain.boosted.ev > plain.domain.base.ev);
      assert.match(report.convention, /^Base at all features that fire;/);
    }
  });

  it('trains on the embedded model, in its width, on a random jumprelu SAE', async () => {
    const basePath = join(root, 'wide');
    const base = randomDictionary({ seed: 5, width: 64, inputWidth: 576, rule: 'jumprelu' });
    await writeSaeLens({ ...base, provenance: { context_size: 16 } }, basePath);
    const folder = join(root, 'embedded');
    const report = await boost({ ...asked, model: modelRequest(), basePath, folder }, options());
    const [plain] = report.variants;
    assert.ok(plain && plain.domain.boosted.ev > plain.domain.base.ev);
    assert.ok(report.improved.some(({ token }) => token.length > 1));
    assert.equal((await readSaeLens(folder)).inputWidth, 576);
  });

  it('trains on the error of an SAE of what the attention adds, and measures it there', async () => {
    const attention = join(root, 'attention');
    await writeSaeLens(randomDictionary({ seed: 1, width: 9, inputWidth: tinyWidth }), attention);
    await changeBase(attention, { hook: 'blocks.0.hook_attn_out' });
    const folder = join(root, 'attention-boost');
    const report = await boost({ ...asked, basePath: attention, folder }, options());
    const residual = await readSaeLens(folder);
    assert.equal(residual.hook, 'blocks.0.hook_attn_out');
    assert.match(String(residual.provenance['tokenizer_sha256']), /^[0-9a-f]{64}$/);
    assert.match(JSON.stringify(report), /"score":-?[\d.]/);
  });

  it('refuses what it cannot train or measure, before it begins', async () => {
    const attempt = (changes: Partial<BoostRequest>) =>
      boost({ ...asked, folder: join(root, 'refused'), ...changes }, options());
    const wide = join(root, 'too wide');
    await writeSaeLens(randomDictionary({ seed: 1, width: 9, inputWidth: 65 }), wide);
    await assert.rejects(attempt({ basePath: wide }), refused('mismatch', /65 wide|width 65/));
    await assert.rejects(attempt({ baseK: 65 }), refused('usage', /up to 64 features, not 65/));
    const relu = join(root, 'relu');
    const others = attempt({ basePath: relu, otherDomains: [join(root, 'command')] });
    await assert.rejects(others, refused('mismatch', /no residual SAE for/));
    const short = join(root, 'short.md');
    await writeFile(short, 'Water.');
    const corpus = { ...asked.corpus, roots: [short] };
    await assert.rejects(attempt({ corpus }), refused('empty', /tokens to train on/));
    assert.equal(await isThere(join(root, 'refused', 'checkpoints')), false);
  });
});
