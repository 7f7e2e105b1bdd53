import { fileURLToPath } from 'node:url';
import { embeddedModel, embeddedSae } from '../../src/common/embedded.ts';
import { Analysis } from '../../src/engine/analysis/analysis.ts';
import { ModelRunner } from '../../src/engine/model/modelRunner.ts';
import { openSae } from '../../src/engine/saes/readySae.ts';
import { readDictionary } from '../../src/saes/readDictionary.ts';
import { median, takeTurns, timed, type Contestant } from '../parts/contestants.ts';
import type { Measured } from './steps.ts';

/** Tokens per second, medians over the rounds. */
export type Rates = Readonly<Record<string, number>>;

const [windows, windowLength] = [8, 256];

/** The embedded model on the device and on the CPU: harvesting of a hook's activations, and analysis of a text. */
export async function harvestingRates({ device, rounds, threads }: Measured): Promise<Rates> {
  const contestants: Contestant[] = [];
  const tokens = new Map<string, number>();
  for (const where of device === 'cpu' ? ([device] as const) : ([device, 'cpu'] as const)) {
    const model = await ModelRunner.open({
      ...{ path: inRepository(embeddedModel), cacheFolder: inRepository('.cache/weights') },
      ...{ threads, device: where },
    });
    const dictionary = await readDictionary(inRepository(embeddedSae));
    const sae = await openSae(dictionary, [], { threads, ...model.on.sessionOptions });
    const analysis = new Analysis(model, sae);
    const ids = Uint32Array.from({ length: windowLength }, (_, i) => 100 + ((i * 37) % 4000));
    const text = model.tokenizer.encode('The fox saw three houses. '.repeat(170)).ids.length;
    const harvest = `harvesting, ${where}`;
    const analyse = `analysing, ${where}`;
    tokens.set(harvest, windows * windowLength);
    tokens.set(analyse, text);
    let round = 0;
    contestants.push({
      name: harvest,
      run: () =>
        timed(async () => {
          for (let w = 0; w < windows; w++)
            await model.run({ tokenIds: ids, hooks: [dictionary.hook], head: 'none' });
        }),
      dispose: () => Promise.resolve(),
    });
    contestants.push({
      name: analyse,
      run: () => timed(() => analysis.analyze(requestOf(round++), context())),
      dispose: async () => {
        analysis.dispose();
        await sae.dispose();
        await model.dispose();
      },
    });
  }
  const times = await takeTurns(contestants, { rounds, warmUp: 1 });
  return Object.fromEntries(
    Array.from(times, ([name, all]) => [name, (1000 * (tokens.get(name) ?? NaN)) / median(all)]),
  );
}

function requestOf(round: number) {
  const text = 'The fox saw three houses. '.repeat(170);
  return { documentId: String(round), text, visible: { start: 0, end: 100 }, predictions: 5 };
}

function context() {
  return { signal: new AbortController().signal, report: () => undefined };
}

function inRepository(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url));
}
